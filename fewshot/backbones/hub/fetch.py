"""Fetching a preset from Kaggle or Hugging Face: its files and no others, their licence said."""

from __future__ import annotations

import sys
from pathlib import Path

from fewshot.backbones.hub.families import FAMILIES, terms
from fewshot.backbones.hub.files import (
    CONFIG,
    CONVERTER,
    DESCRIPTIONS,
    README,
    WEIGHTS,
    check_content,
    shards,
    weight_files,
    write_sums,
)
from fewshot.backbones.hub.folder import read
from fewshot.backbones.hub.listing import known
from fewshot.backbones.hub.names import HUGGING_FACE, KAGGLE, target
from fewshot.errors import FewshotError
from fewshot.wording import one_line

FETCHED = (
    *DESCRIPTIONS,
    *WEIGHTS["keras"],
    *WEIGHTS["transformers"],  # timm's have the same names
    "model_*.weights.h5",
    "model-*-of-*.safetensors",
    README,
)


def cost(name: str) -> str:
    """Return what it takes to fetch a preset: "about 90 MB, Apache-2.0"; "" where nobody knows.

    Raises
    ------
    UsageError
        For a name that KerasHub does not have.
    """
    preset = known(name)
    if preset is None:
        return ""
    family = FAMILIES[preset.family]
    return f"about {4 * preset.parameters / 1e6:,.0f} MB, {terms(family.licence, family.gated)}"


def download(name: str, folder: Path) -> None:
    """Fetch a preset into a folder, check that it is whole, and write `SHA256SUMS` of its files.

    Parameters
    ----------
    name : of the backbone: a preset's or an address.
    folder : where the files go; it exists and is empty.

    Raises
    ------
    FewshotError
        Where there is no such preset, it is gated, nobody answers, or what comes is not whole.
    """
    preset = known(name)
    if said := cost(name):
        print(f"fetching {name}: {said}", file=sys.stderr)
    handle = preset.handle if preset else target(name)
    try:
        if handle.startswith(HUGGING_FACE):
            _from_hugging_face(handle.removeprefix(HUGGING_FACE), folder)
        else:
            _from_kaggle(handle.removeprefix(KAGGLE), folder)
    except Exception as error:  # both libraries raise errors of many kinds
        raise FewshotError(f"cannot fetch {name}. {_why(handle, error)}") from error
    downloaded = read(folder)
    for file in weight_files(folder, downloaded.form):
        check_content(file)
    write_sums(folder)
    print(f"weights: {name} ({downloaded.terms})", file=sys.stderr)


def _from_hugging_face(repository: str, folder: Path) -> None:
    import huggingface_hub

    huggingface_hub.snapshot_download(repository, local_dir=folder, allow_patterns=list(FETCHED))


def _from_kaggle(handle: str, folder: Path) -> None:
    """Fetch the files one by one: an archive of all would bring tokenizers along."""
    import kagglehub

    def fetch(name: str) -> None:
        kagglehub.model_download(handle, name, output_dir=str(folder))

    def fetched(name: str) -> bool:
        try:
            fetch(name)
        except Exception as error:
            if _is_missing(error):
                return False
            raise
        return True

    whole, index = WEIGHTS["keras"]
    fetch(CONFIG)
    fetched(CONVERTER)
    if not fetched(whole) and fetched(index):
        for shard in shards(folder / index):
            fetch(shard)


def _why(handle: str, error: Exception) -> str:
    """Return why a preset cannot be fetched, and how to mend it."""
    address = (
        f"https://huggingface.co/{handle.removeprefix(HUGGING_FACE)}"
        if handle.startswith(HUGGING_FACE)
        else f"https://www.kaggle.com/models/{'/'.join(handle.removeprefix(KAGGLE).split('/')[:2])}"
    )
    if type(error).__name__ in ("RepositoryNotFoundError", "NotFoundError") or _is_missing(error):
        return f"There is none at {address}"
    if type(error).__name__ == "GatedRepoError" or _status(error) in (401, 403):
        return f"It is gated: accept its terms at {address}, and log in there from this machine"
    reason = one_line(error)
    return f"Tried: {address} ({reason:.150}). Without a network, bring its folder, and give that: hub/PATH"


def _is_missing(error: Exception) -> bool:
    return _status(error) == 404 or "not present in the model files" in str(error)


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)
