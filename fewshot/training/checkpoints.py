"""Checkpoints: a training's arrays and a note in one file, written whole or not at all."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fewshot.errors import FewshotError, field
from fewshot.io.files import replacing

BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError)  # of archives, which load a part at a time


def save(path: Path, note: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a checkpoint; the one before stays until this one is whole.

    note: anything that JSON knows. Raises `FewshotError` for a full disk.
    """
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, note=np.array(json.dumps(note)), **arrays)
    except OSError as error:
        kept = "the checkpoint before it stays" if path.exists() else "there is none before it"
        raise FewshotError(
            f"cannot write the checkpoint {path} ({error.strerror}): {kept}; free some space, and the "
            "same command resumes"
        ) from error


def load(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the note and the arrays of a checkpoint; `FewshotError` where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        note = json.loads(str(arrays.pop("note")))
        if not isinstance(note, dict):
            raise ValueError("its note is no object")
        return note, arrays
    except (OSError, ValueError, KeyError, EOFError, RecursionError, *BROKEN) as error:
        raise FewshotError(
            f"the checkpoint {path} cannot be read: delete it, or use {field('fresh', True)}"
        ) from error


def numbered(arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays under names that keep their order."""
    return {f"{number:05}": array for number, array in enumerate(arrays)}


def in_order(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return what `numbered` named."""
    return [arrays[name] for name in sorted(arrays)]
