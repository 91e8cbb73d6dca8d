"""Photos copied by answer: a folder a class, and one for those that the model is not sure of."""

from __future__ import annotations

import filecmp
import itertools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from fewshot.errors import FewshotError
from fewshot.io.files import slug

UNSURE = "unsure"


class Sorter:
    """Copies photos into `folder`; nothing there is overwritten, and nothing goes anywhere else."""

    def __init__(self, folder: Path, classes: Sequence[str]):
        self._folder = folder
        self._names: list[str] = []
        for name in (UNSURE, *classes):
            wanted = slug(name, " ").strip(" .") or "class"
            numbered = (wanted, *(f"{wanted}-{number}" for number in range(2, len(classes) + 3)))
            taken = {other.casefold() for other in self._names}
            self._names.append(next(free for free in numbered if free.casefold() not in taken))

    def copy(self, file: Path, label: int | None) -> Path:
        """Copy a photo to its class's folder, or to `unsure/`, and return where it is.

        A photo of the same name gets a number, unless it is the same photo. Raises `FewshotError`.
        """
        target = self._folder / self._names[0 if label is None else label + 1]
        try:
            target.mkdir(parents=True, exist_ok=True)
            if target.resolve().parent != self._folder.resolve():
                raise FewshotError(f"{target} leads out of {self._folder}: nothing is copied there")
            for number in itertools.count(1):
                name = file.name if number == 1 else f"{file.stem}-{number}{file.suffix}"
                path = target / name
                if self._copied(file, path) or filecmp.cmp(file, path, shallow=False):
                    return path
        except OSError as error:
            raise FewshotError(f"cannot copy {file} to {target}: {error.strerror or error}") from error
        raise AssertionError("there are numbers without end")

    @staticmethod
    def _copied(file: Path, path: Path) -> bool:
        """Copy to a path where nothing is; tell whether that was so."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        shutil.copy2(file, path)
        return True
