"""Where images come from and where they stay: the cache, built once, and the sources tried in order.

Whatever the source, a prepared dataset is one cache folder: `train_x.npy`, `train_y.npy` (and `val_*`,
`test_*`), read memory-mapped by any number of processes, and `meta.json`. That of a user's folder also has
`train_groups.npy`, …, the numbers of near-duplicates' groups, and `files.json`, the files of each part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.data.dataset import Dataset, Splits
from fewshot.data.depth import Levels, checked_levels
from fewshot.data.tally import Tally
from fewshot.errors import FewshotError, field
from fewshot.io.cache import sound
from fewshot.io.fetch import Unavailable
from fewshot.wording import one_line

PARTS = ("train", "val", "test")
FILES = "files.json"

# A label for messages, and what fetches the images; it may use the empty folder it is given as it likes.
Source = tuple[str, Callable[[Path], Splits]]


def first_available(
    name: str, sources: Sequence[Source], scratch: Path, pin: str | None = None
) -> tuple[str, Splits]:
    """Return label and splits of the first source that serves the content whose fingerprint is `pin`.

    Raises `FewshotError`, with every source's reason, if none does.
    """
    reasons = []
    for label, fetch in sources:
        try:
            splits = fetch(scratch)
            if pin and (fingerprint := splits.fingerprint()) != pin:
                raise Unavailable(
                    f"its content is not the known one: {fingerprint[:12]} instead of {pin[:12]}"
                )
            return label, splits
        except Unavailable as reason:
            reasons.append(f"{label} ({reason})")
    raise FewshotError(
        f"cannot get {name}. Tried: {'; '.join(reasons)}. "
        f"Say where its files lie with {field('data_dir', 'DIR')}, or use {field('data', 'digits')}, "
        "which needs no download"
    )


@dataclass(frozen=True)
class Decoding:
    """What is to be known of photos that were decoded.

    levels: the ranges that those of more than 8 bits were scaled from. left_out: files that could not be
    decoded. blank: those that show nothing.
    """

    levels: Levels | None = None
    left_out: Sequence[Tally] = ()
    blank: Sequence[Tally] = ()


NOT_DECODED = Decoding()


def save(splits: Splits, folder: Path, source: str, decoding: Decoding = NOT_DECODED) -> None:
    """Write the prepared form of `splits` into the existing `folder`."""
    for name, part in splits.parts.items():
        np.save(folder / f"{name}_x.npy", part.x)
        np.save(folder / f"{name}_y.npy", part.y)
    write_meta(splits, folder, source, decoding)


def write_meta(splits: Splits, folder: Path, source: str, decoding: Decoding = NOT_DECODED) -> None:
    """Write what is to be known of the arrays that lie in `folder`."""
    meta = {
        "name": splits.name,
        "classes": splits.classes,
        "fingerprint": splits.fingerprint(),
        "source": source,
        "levels": {kind: list(limits) for kind, limits in (decoding.levels or {}).items()},
        "left_out": [tally.to_json() for tally in decoding.left_out],
        "blank": [tally.to_json() for tally in decoding.blank],
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def read_meta(folder: Path) -> dict[str, Any]:
    """Return the prepared folder's name, classes, fingerprint and source, levels, left_out and blank."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        texts = [*meta["classes"], *(meta[key] for key in ("name", "fingerprint", "source"))]
        if not isinstance(meta["classes"], list) or not all(isinstance(text, str) for text in texts):
            raise TypeError("names that are no texts")
        return {
            **{key: meta[key] for key in ("name", "classes", "fingerprint", "source")},
            "levels": checked_levels(meta.get("levels", {})),
            **{key: tuple(map(Tally.from_json, meta.get(key, ()))) for key in ("left_out", "blank")},
        }
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise Damaged(folder, error) from error


def prepared_once(folder: Path, build: Callable[[Path], None], pin: str | None = None) -> Path:
    """Return the prepared folder, built by `build(temporary)` where it is missing or damaged.

    All images are looked at, once a process: a single byte that has changed is damage, too. pin: the known
    fingerprint.
    """

    def damage(folder: Path) -> str:
        try:
            images = {part: len(dataset) for part, dataset in open_prepared(folder).parts.items()}
            named = {part: len(names) for part, names in read_files(folder).items()}
            if named and named != images:
                raise Damaged(folder, f"{FILES} names other files than there are images")
            written = read_meta(folder)["fingerprint"]
            content = content_of(folder)
        except Damaged as error:
            return error.why
        known = pin or written
        wrong = next((digest for digest in (written, content) if digest != known), None)
        return f"fingerprint {wrong[:12]} instead of {known[:12]}" if wrong else ""

    return sound(folder, build, damage)


def content_of(folder: Path) -> str:
    """Return the fingerprint of what a prepared folder holds, computed anew where its files have changed."""
    try:
        states = [file.stat() for file in sorted(folder.glob("*_[xy].npy"))]
    except OSError as error:
        raise Damaged(folder, error) from error
    return _fingerprint(folder, tuple((state.st_ino, state.st_size, state.st_mtime_ns) for state in states))


@lru_cache(maxsize=16)
def _fingerprint(folder: Path, state: tuple) -> str:
    return open_prepared(folder).fingerprint()


def open_prepared(folder: Path) -> Splits:
    """Return the splits of a prepared folder, images and labels memory-mapped and read-only."""
    meta = read_meta(folder)
    classes = tuple(meta["classes"])
    try:
        parts = {
            part: _open_part(folder, part, classes) for part in PARTS if (folder / f"{part}_x.npy").exists()
        }
        return Splits(meta["name"], **parts)
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise Damaged(folder, error) from error


class Damaged(FewshotError):
    """A cache folder does not hold what was written there."""

    def __init__(self, folder: Path, why: object, cure: str = "delete it and run again"):
        super().__init__(f"the cache folder {folder} is damaged ({why}): {cure}")
        self.why = one_line(why)


def read_files(folder: Path) -> dict[str, list[str]]:
    """Return part → the files of its images, relative to the user's folder; nothing for a named dataset."""
    try:
        files = json.loads((folder / FILES).read_text(encoding="utf-8"))
        if not all(isinstance(name, str) for names in files.values() for name in names):
            raise TypeError(f"{FILES} does not name files")
        return files
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(folder, error) from error


def _open_part(folder: Path, part: str, classes: tuple[str, ...]) -> Dataset:
    x, y = (np.load(folder / f"{part}_{k}.npy", mmap_mode="r", allow_pickle=False) for k in "xy")
    images = x.dtype == np.uint8 and x.ndim in (4, 5) and x.shape[-1] == 3
    if not images or y.dtype != np.int64 or y.shape != x.shape[:1]:
        raise ValueError(f"{part} holds {x.dtype} {x.shape} and {y.dtype} {y.shape}")
    if len(y) and not 0 <= y.min() <= y.max() < len(classes):
        raise ValueError(f"{part} holds labels of no class")
    grouped = folder / f"{part}_groups.npy"
    groups = np.load(grouped, allow_pickle=False) if grouped.exists() else None
    if groups is not None and groups.shape != y.shape:
        raise ValueError(f"{part} holds {y.shape} labels and {groups.shape} groups")
    return Dataset(x, y, classes, groups)
