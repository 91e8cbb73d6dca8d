"""The files of a preset: which there are, that they are whole and undamaged, and what is never opened.

Nothing of a folder is trusted: what is read is JSON, HDF5 without links to other files, and safetensors. A
pickle is never opened. Where there is a file `SHA256SUMS` (as `sha256sum` writes it, and as everything that
is fetched gets one) each file has to be as it says before it is read.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fewshot.errors import FewshotError
from fewshot.io.digests import sha256_of, sha256_once
from fewshot.wording import one_line

CONFIG, CONVERTER, PREPROCESSOR = "config.json", "image_converter.json", "preprocessor_config.json"
DESCRIPTIONS = (CONFIG, CONVERTER, PREPROCESSOR)
README, SUMS = "README.md", "SHA256SUMS"
# By form: the file of all weights, and the index of those that are spread over several files.
WEIGHTS = {
    "keras": ("model.weights.h5", "model.weights.json"),
    "transformers": ("model.safetensors", "model.safetensors.index.json"),
    "timm": ("model.safetensors", "model.safetensors.index.json"),
}
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy")
LONGEST_HEADER = 100_000_000  # bytes of a safetensors file


def read_json(path: Path) -> dict[str, Any]:
    """Return the fields of a JSON file; `FewshotError` where it is missing, unreadable or holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FewshotError(f"the preset {path.parent} is not whole: {path.name} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise FewshotError(
            f"the preset {path.parent} cannot be read: {path.name}: {one_line(error)}"
        ) from error
    if not isinstance(content, dict):
        raise FewshotError(f"the preset {path.parent} cannot be read: {path.name} holds no fields")
    return content


def weight_files(folder: Path, form: str) -> list[Path]:
    """Return the files of a preset's weights, an index first; `FewshotError` where one is missing.

    Parameters
    ----------
    folder : of the preset.
    form : a key of `WEIGHTS`.
    """
    whole, index = WEIGHTS[form]
    if (folder / whole).is_file():
        return [folder / whole]
    if not (folder / index).is_file():
        raise FewshotError(f"the preset {folder} is not whole: {whole} is missing{_pickled(folder)}")
    names = shards(folder / index)
    for name in names:
        if not (folder / name).is_file():
            raise FewshotError(f"the preset {folder} is not whole: {name} is missing")
    return [folder / index, *(folder / name for name in names)]


def shards(index: Path) -> list[str]:
    """Return the names of the files that an index says the weights are spread over.

    Raises
    ------
    FewshotError
        Where the index cannot be read, or names what is no weight file of its own folder.
    """
    values = read_json(index).get("weight_map")
    if not isinstance(values, dict):
        raise FewshotError(f"the preset {index.parent} cannot be read: {index.name} names no files")
    names = {str(n) for value in values.values() for n in (value if isinstance(value, list) else [value])}
    for name in names:
        if name != Path(name).name or Path(name).suffix not in (".h5", ".safetensors"):
            raise FewshotError(f"the preset {index.parent} cannot be read: {index.name} names {name!r}")
    return sorted(names)


def _pickled(folder: Path) -> str:
    """Return the end of a message: that a folder has its weights as a pickle; "" where it has none."""
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)
    if not pickles:
        return ""
    return f" ({pickles[0]} may be a pickle, which runs code, and is never opened: get .safetensors)"


def digest_of(folder: Path, weights: Iterable[Path]) -> str:
    """Return what tells a preset from any other: the SHA-256 of the SHA-256s and names of its files.

    Parameters
    ----------
    folder : of the preset; of its other files, those count that describe it.
    weights : the files of weights that count.
    """
    files = [folder / name for name in DESCRIPTIONS if (folder / name).is_file()]
    lines = "".join(f"{_sha256(file)}  {file.name}\n" for file in sorted([*files, *weights]))
    return hashlib.sha256(lines.encode()).hexdigest()


def write_sums(folder: Path) -> None:
    """Write `SHA256SUMS` of all files of a folder. Raises `OSError`."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    sums = "".join(f"{sha256_of(path)}  {path.name}\n" for path in files)
    (folder / SUMS).write_text(sums, encoding="utf-8")


def check_sums(folder: Path) -> None:
    """Raise `FewshotError` where a file is another than the folder's `SHA256SUMS` says, if it has that."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise FewshotError(f"cannot read {folder / SUMS}: {one_line(error)}") from error
    for line in lines:
        said, _, name = line.partition(" ")
        name = name.strip().removeprefix("*").removeprefix("./")
        if not name or Path(name).name != name:  # files of inner folders are never read
            continue
        if not (folder / name).is_file():
            raise FewshotError(f"the preset {folder} is not whole: {name} is missing")
        if (found := _sha256(folder / name)) != said:
            raise FewshotError(
                f"the preset {folder} is damaged: {name} has the SHA-256 {found:.12}… instead of "
                f"{said:.12}…: get it again"
            )


def check_content(path: Path) -> None:
    """Raise `FewshotError` for what is no weight file, is cut short, or reaches into other files."""
    try:
        status = path.stat()
        _check_format(path, status.st_size, status.st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FewshotError(f"cannot read the weights {path}: {one_line(error)}") from error


@functools.lru_cache(maxsize=256)
def _check_format(path: Path, size: int, changed: int) -> None:
    """Check a file, again only once its size or its time of change, in nanoseconds, is another."""
    if path.suffix not in (".safetensors", ".h5"):
        return
    with path.open("rb") as file:
        if file.read(8) == b"version ":
            raise ValueError("it is a pointer of Git LFS, not the weights: git lfs pull")
    if path.suffix == ".safetensors":
        _check_safetensors(path, size)
    else:
        _check_hdf5(path)


def _check_safetensors(path: Path, size: int) -> None:
    with path.open("rb") as file:
        beginning = file.read(8)
        length = int.from_bytes(beginning, "little")
        if len(beginning) < 8 or not 2 <= length <= min(size - 8, LONGEST_HEADER):
            raise ValueError("it is no safetensors file, or cut short")
        header = json.loads(file.read(length))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    if 8 + length + max(ends, default=0) != size:
        raise ValueError("it is cut short, or damaged: its size is not what its header says")


def _check_hdf5(path: Path) -> None:
    import h5py

    def check(group: h5py.Group) -> None:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{name} links to elsewhere")
            item = group[name]
            if isinstance(item, h5py.Group):
                check(item)
            elif item.is_virtual or item.external:
                raise ValueError(f"{name} lies in another file")

    with h5py.File(path, "r") as file:
        check(file)


def _sha256(path: Path) -> str:
    try:
        return sha256_once(path)
    except OSError as error:
        raise FewshotError(f"cannot read {path}: {one_line(error.strerror)}") from error
