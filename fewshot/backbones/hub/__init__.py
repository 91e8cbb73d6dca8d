"""KerasHub's pretrained image models as backbones, `hub/PRESET` and `hub/FOLDER`.

    preset = locate("hub/dinov2_small")     # fetched on first use, checked, its JSON read

Reading order: `families`, `names`, `listing` (what KerasHub knows by name), `files` (what is checked before
a file is read), `folder` (what a preset says), `fetch`. None of them starts Keras or KerasHub: `graph`, which
builds the network, and its `blocks` are imported where one is built.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

from fewshot.backbones.hub.families import FAMILIES, POOLS, Family
from fewshot.backbones.hub.fetch import cost, download
from fewshot.backbones.hub.files import check_content, check_sums, digest_of, weight_files
from fewshot.backbones.hub.folder import Preset, read
from fewshot.backbones.hub.listing import known
from fewshot.backbones.hub.names import SHORT, is_hub, is_remote, place, size_in
from fewshot.errors import UsageError
from fewshot.io.cache import build_once

__all__ = [
    "POOLS",
    "SHORT",
    "Preset",
    "check",
    "check_open",
    "cost",
    "digest",
    "installed",
    "is_hub",
    "locate",
    "milliseconds",
    "need",
    "present",
]

INSTALL = "pip install 'fewshot-testbed[hub]'"


def installed() -> bool:
    """Return whether KerasHub is installed."""
    return importlib.util.find_spec("keras_hub") is not None


def need() -> None:
    """Raise `UsageError` where KerasHub is not installed."""
    if not installed():
        raise UsageError(f"backbones of KerasHub need a package more: {INSTALL}")


def present(name: str) -> bool:
    """Return whether a backbone's folder is here, fetched or its user's own."""
    return place(name).is_dir()


def check(name: str, size: int | None, pool: str) -> int:
    """Return the size at which a backbone looks at images. Nothing is fetched.

    Parameters
    ----------
    name : of the backbone.
    size : pixels a side; None for its own. That of a preset to fetch is taken from its name, so that it is
        the same before and after it is fetched; that of a folder from its configuration.
    pool : how features are pooled; "" for the family's own way.

    Raises
    ------
    UsageError
        Where there is no such preset or folder, or it does not take the size or the way of pooling.
    FewshotError
        Where the folder is not whole or cannot be read.
    """
    need()
    folder, remote = place(name), is_remote(name)
    usual, least = size_in(name), 1
    family: Family | None = None
    if folder.is_dir():
        preset = read(folder)
        usual, least, family = usual if remote else preset.size, preset.patch, preset.kind
    elif remote:
        listed = known(name)
        family = FAMILIES[listed.family] if listed else None
    else:
        raise _no_folder(folder)
    size = usual if size is None else size
    if size < least:
        raise UsageError(f"'{name}' cuts images into patches of {least}×{least}. Received: {size}")
    if family and family.fixed and size != usual:
        raise UsageError(f"'{name}' looks at images in {usual}×{usual} alone. Received: {size}")
    if pool and family and pool not in family.pools:
        ways = f"{', '.join(family.pools)}, or none" if family.pools else "its own alone: leave it out"
        raise UsageError(f"'{name}' has no pool={pool}. It pools by {ways}")
    return size


def locate(name: str) -> Preset:
    """Return a backbone's preset, fetched on first use, its files checked.

    Raises
    ------
    UsageError
        Where there is no such folder or preset, or it is none of images.
    FewshotError
        Where it cannot be fetched, is damaged (another SHA-256 than its `SHA256SUMS` has) or not whole.
    """
    need()
    folder = place(name)
    if not folder.is_dir():
        if not is_remote(name):
            raise _no_folder(folder)
        build_once(folder, functools.partial(download, name))
    preset = read(folder)
    check_sums(folder)
    for file in weight_files(folder, preset.form):
        check_content(file)
    return preset


def check_open(name: str) -> None:
    """Raise `UsageError` for a backbone that keeps layers of KerasHub's own: it can only be used frozen."""
    preset = locate(name)
    if preset.kind.opaque:
        raise UsageError(
            f"'{name}' can be neither trained on nor exported: {preset.family} keeps layers of KerasHub's "
            "own. Use it frozen"
        )


def digest(name: str, random: bool = False) -> str:
    """Return what tells a backbone's folder from any other: the SHA-256 of the SHA-256s of all that is read.

    Parameters
    ----------
    name : of the backbone.
    random : whether its weights are random ones: those of the folder do not count then.
    """
    preset = locate(name)
    if random:
        return f"random {digest_of(preset.folder, [])}"
    return digest_of(preset.folder, weight_files(preset.folder, preset.form))


def milliseconds(name: str) -> float | None:
    """Return how long one core takes for an image of 224×224, roughly; None where nobody has measured it."""
    preset = known(name) if is_remote(name) else None
    return next((s.milliseconds for s in SHORT.values() if preset and s.preset == preset.name), None)


def _no_folder(folder: Path) -> UsageError:
    return UsageError(f"no such folder of a preset: {folder}")
