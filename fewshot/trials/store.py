"""The trial records on disk: append-only JSON lines, one trial a line, one writer at a time.

    results/trials.jsonl             a record a line, flushed to disk before the next trial's
    results/predictions/KEY.npz      its held-out class probabilities (float16) and image indices
    results/checkpoints/KEY-0.npz    a long training that is under way

A record counts once its line is complete, and its predictions are written before it. So whatever cuts a
run off, at most the trials under way are lost. A later record of the same key replaces an earlier one.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar, cast

import numpy as np

from fewshot.errors import FewshotError, field
from fewshot.io.files import held, mark_output, replacing
from fewshot.trials.record import Record
from fewshot.trials.trackers import Trackers
from fewshot.wording import plural

FORMAT = 1


class Storable(Protocol):
    """What a store keeps: `Record`, or another typed record that turns into JSON and back."""

    @property
    def key(self) -> str:
        """The name under which it is found."""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return what a JSON object holds; ValueError where it is not valid."""

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""


R = TypeVar("R", bound=Storable)


class Store(Generic[R]):
    """The records of one results folder.

    Parameters
    ----------
    folder : path
        Where the records are; created by `open`.
    record_type : type
        The class of the records.
    """

    def __init__(self, folder: str | os.PathLike, record_type: type[R] = Record):  # type: ignore[assignment]
        self.folder = Path(folder)
        self.path = self.folder / "trials.jsonl"
        self._record_type = record_type
        self._predictions = self.folder / "predictions"
        self._records: dict[str, R] = {}
        self._trackers: Trackers | None = None

    @contextlib.contextmanager
    def open(self, track: Iterable[str] = ()) -> Iterator[Store]:
        """Read what is there and hold the folder for writing; `FewshotError` if another run holds it.

        track: where trials are shown, too (`fewshot.trials.trackers`).
        """
        with contextlib.ExitStack() as block:
            self._trackers = Trackers(track, self.folder) if track else None
            if self._trackers:
                block.callback(self._trackers.close)
            with self._explained():
                self._predictions.mkdir(parents=True, exist_ok=True)
                for folder in (self.folder, self._predictions):  # the first may hold photos, too
                    mark_output(folder)
                block.enter_context(held(self.folder))
                self._mend()
                self._read()
            yield self

    def get(self, key: str) -> R | None:
        """Return the record of a key, or None."""
        return self._records.get(key)

    def add(self, record: R, predictions: Mapping[str, np.ndarray]) -> None:
        """Keep a trial: its predictions first, then its line, both on disk when this returns.

        Raises `FewshotError` where the disk is full or read-only.
        """
        line = json.dumps({"format": FORMAT, **record.to_json()}, allow_nan=False)
        with self._explained():
            if predictions:
                with replacing(self.predictions_path(record.key)) as temporary:
                    np.savez_compressed(temporary, **cast(Any, predictions))
            with open(self.path, "ab") as file:
                file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        self._records[record.key] = record
        self.show(record)

    def show(self, record: R) -> None:
        """Show a record of this folder in the trackers, if there are any."""
        if self._trackers:
            self._trackers.add(cast(Record, record))

    def arrays(self, key: str) -> dict[str, np.ndarray] | None:
        """Return what was kept beside a record; None where the file is missing or damaged."""
        try:
            with np.load(self.predictions_path(key), allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None

    def predictions_path(self, key: str) -> Path:
        """Return where a trial's probabilities, labels and image indices stand."""
        return self._predictions / f"{key}.npz"

    def checkpoint_path(self, key: str) -> Path:
        """Return where a trial that is under way is kept; learners add an ending of their own."""
        return self.folder / "checkpoints" / key

    def drop_checkpoint(self, key: str) -> None:
        """Delete what was kept of a trial under way."""
        path = self.checkpoint_path(key)
        for file in path.parent.glob(f"*{key}*"):
            file.unlink(missing_ok=True)

    def _mend(self) -> None:
        """End a file that was cut off inside a line, so that the next record starts on its own line."""
        if not self.path.exists():
            return
        with open(self.path, "rb+") as file:
            content = file.read()
            if content and not content.endswith(b"\n"):
                file.write(b"\n")

    def _read(self) -> None:
        self._records, odd = read(self.path, self._record_type)
        if odd:
            lines = ", ".join(map(str, odd[:5])) + (", …" if len(odd) > 5 else "")
            print(
                f"{self.path}: {plural(len(odd), 'unreadable line')} left as they are ({lines}); "
                "trials without a record are computed again",
                file=sys.stderr,
            )

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FewshotError(
                f"cannot write the results to {self.folder} ({error.strerror or error}): free some space or "
                f"give another {field('out')}; what is recorded stays, and the same command resumes"
            ) from error


def read(
    path: Path,
    record_type: type[R] = Record,  # type: ignore[assignment]
) -> tuple[dict[str, R], list[int]]:
    """Return the records of a file by key, and the numbers of the lines that hold no valid one.

    Needs no lock: a study may be writing there, and a line that is not complete yet is not a record yet.
    """
    records, odd = {}, []
    if path.exists():
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                record = parse(line, record_type)
                if record is None:
                    odd.append(number)
                else:
                    records[record.key] = record
    return records, odd


def parse(
    line: str,
    record_type: type[R] = Record,  # type: ignore[assignment]
) -> R | None:
    """Return the record of a line, or None where the line is torn, foreign or not valid."""
    try:
        content = json.loads(line)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            return None
        return record_type.from_json(content)
    except (ValueError, RecursionError):
        return None
