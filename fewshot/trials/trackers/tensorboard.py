"""TensorBoard: a run a trial, in the folder of its method."""

from __future__ import annotations

import datetime
import importlib
import shutil
from pathlib import Path

from fewshot.errors import UsageError, field
from fewshot.io.files import mark_output, slug
from fewshot.trials.record import Record
from fewshot.trials.trackers import curves, ends, trackers


@trackers.register("tensorboard")
def tensorboard(where: str) -> TensorBoard:
    """Event files below a folder: tensorboard --logdir FOLDER."""
    if "://" in where:
        raise UsageError(f"{field('track')}: TensorBoard reads a folder. Received: '{where}'")
    try:
        importlib.import_module("tensorboard.summary.writer.event_file_writer")
    except ImportError as error:
        missing = "needs the package tensorboard: pip install 'fewshot-testbed[tensorboard]'"
        raise UsageError(f"{field('track', 'tensorboard')} {missing}") from error
    return TensorBoard(Path(where))


class TensorBoard:
    """Writes `FOLDER/METHOD/SEED-KEY/events…`, which TensorBoard shows as one run each."""

    def __init__(self, folder: Path):
        self._folder = folder

    def add(self, record: Record) -> None:
        """Write a trial's curves at their updates, and what it ended with at the last."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        run = self._folder / slug(record.method) / f"{record.seed}-{record.key[:8]}"
        if run.exists():
            return
        mark_output(self._folder)
        unfinished = run.with_name(f".{run.name}")
        shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was cut off
        writer = EventFileWriter(str(unfinished))
        when = datetime.datetime.fromisoformat(record.date).timestamp() if record.date else 0.0
        last = [(name, record.updates or 0, value) for name, value in ends(record).items()]
        points = [(name, step, value) for name, curve in curves(record).items() for step, value in curve]
        for name, step, value in (*points, *last):
            summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
            writer.add_event(Event(wall_time=when, step=step, summary=summary))
        writer.close()
        unfinished.rename(run)

    def close(self) -> None:
        """Nothing is left: every trial is written whole."""
