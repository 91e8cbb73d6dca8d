"""The trial records on disk: append-only JSON lines, one trial a line, one writer at a time.

    results/trials.jsonl             a record a line, flushed to disk before the next trial's
    results/predictions/KEY.npz      its held-out class probabilities (float16) and image indices
    results/checkpoints/KEY-0.npz    a long training that is under way

A record counts once its line is complete, and its predictions are written before it. So whatever cuts a
run off, at most the trials under way are lost. A later record of the same key replaces an earlier one.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from fewshot.errors import FewshotError, field
from fewshot.io.files import replacing

FORMAT = 1
FIELDS = {"method": str, "status": str, "classes": list, "seed": int, "threads": int, "device": str}
FIELDS |= {"protocol": dict, "learner": dict}
MEASURED = ("accuracy", "balanced_accuracy", "nll", "seconds", "n_train", "updates", "images_seen")


class Store:
    """The records of one results folder."""

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.path = self.folder / "trials.jsonl"
        self._predictions = self.folder / "predictions"
        self._records: dict[str, dict] = {}

    @contextlib.contextmanager
    def open(self) -> Iterator["Store"]:
        """Read what is there and hold the folder for writing; `FewshotError` if another run holds it."""
        with self._explained():
            self._predictions.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock", timeout=0)
            try:
                lock.acquire()
            except Timeout:
                raise FewshotError(
                    f"another run is writing to {self.folder}: wait for it, or give another {field('out')}"
                ) from None
        try:
            with self._explained():
                self._mend()
                self._read()
            yield self
        finally:
            lock.release()

    def get(self, key: str) -> dict | None:
        """Return the record of a key, or None."""
        return self._records.get(key)

    def add(self, record: dict, predictions: dict[str, np.ndarray]) -> None:
        """Keep a trial: its predictions first, then its line, both on disk when this returns.

        record: strict JSON with its "key". Raises `FewshotError` where the disk is full or read-only.
        """
        line = json.dumps({"format": FORMAT, **record}, allow_nan=False)
        with self._explained():
            if predictions:
                with replacing(self.predictions_path(record["key"])) as temporary:
                    np.savez_compressed(temporary, **predictions)
            with open(self.path, "ab") as file:
                file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        self._records[record["key"]] = record

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
        self._records, odd = read(self.path)
        if odd:
            lines = ", ".join(map(str, odd[:5])) + (", …" if len(odd) > 5 else "")
            print(
                f"{self.path}: {len(odd)} unreadable line(s) left as they are ({lines}); "
                "trials without a record are computed again",
                file=sys.stderr,
            )

    @contextlib.contextmanager
    def _explained(self):
        try:
            yield
        except OSError as error:
            raise FewshotError(
                f"cannot write the results to {self.folder} ({error.strerror or error}): free some space or "
                f"give another {field('out')}; what is recorded stays, and the same command goes on"
            ) from error


def read(path: Path) -> tuple[dict[str, dict], list[int]]:
    """Return the records of a file by key, and the numbers of the lines that hold none.

    Needs no lock: a study may be writing there, and a line that is not complete yet is not a record yet.
    """
    records, odd = {}, []
    if path.exists():
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                record = parse(line)
                if record is None:
                    odd.append(number)
                else:
                    records[record["key"]] = record
    return records, odd


def complete(record: dict) -> bool:
    """Say whether a record has all that studies and reports need: an older version's may not."""
    numbers = MEASURED if record.get("status") == "ok" else ()
    return (
        all(isinstance(record.get(field), kind) for field, kind in FIELDS.items())
        and all(isinstance(record.get(field), int | float) for field in numbers)
        and isinstance(record.get("curve"), dict | None)
        and {"name", "data"} <= record["protocol"].keys()
    )


def parse(line: str) -> dict | None:
    """Return the record of a line, as it was added, or None where the line is torn or foreign."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.pop("format", None) != FORMAT:
        return None
    return record if isinstance(record.get("key"), str) else None
