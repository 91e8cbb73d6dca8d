"""Trackers: trials and their curves where people look for them, such as TensorBoard or MLflow.

    @trackers.register("mine")
    def mine(where): ...  # returns a Tracker; where: a path or an address

`track="mine"` shows every trial of a run there, once, recorded ones, too. Records stay what
they are: a tracker only copies them, so that one that fails costs nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from fewshot.errors import FewshotError, UsageError, field
from fewshot.registry import Registry, import_all
from fewshot.trials.record import Record
from fewshot.wording import one_line, shortened

trackers = Registry("tracker")

ENDS = ("accuracy", "balanced_accuracy", "nll", "seconds")  # what a trial ends with
HELD_OUT = "held_out_"  # begins the names of curves of held-out images


class Tracker(Protocol):
    """Where trials are shown."""

    def add(self, record: Record) -> None:
        """Show a trial, unless it is there already."""

    def close(self) -> None:
        """Write what is left to be written."""


def names(track: object) -> tuple[str, ...]:
    """Return the trackers that are asked for; `UsageError` for what is no name, or an unknown one."""
    given = (track,) if isinstance(track, str) else track
    texts = tuple(given) if isinstance(given, Iterable) else (given,)
    for text in texts:
        if not isinstance(text, str):
            raise UsageError(f"{field('track')} wants names such as tensorboard. Received: {track!r}")
        trackers[text.partition(":")[0]]
    return texts


class Trackers:
    """The trackers of a run.

    Parameters
    ----------
    texts : names, each with or without a place: "tensorboard", "mlflow:http://localhost:5000".
    folder : where those without one write: to a folder of their name.

    Raises
    ------
    UsageError
        For an unknown name, and for a place or a package that is not there.
    """

    def __init__(self, texts: Iterable[str], folder: Path):
        self._trackers: dict[str, Tracker] = {}
        for text in names(texts):
            name, _, where = text.partition(":")
            try:
                self._trackers[text] = trackers[name](where or str(folder / name))
            except FewshotError:
                raise
            except Exception as error:  # of a place that cannot be, by whatever library
                told = shortened(one_line(error))
                raise UsageError(f"{field('track', text)} cannot be opened: {told}") from error

    def add(self, record: Record) -> None:
        """Show a trial in every tracker; one that fails is named, and left alone from then on."""
        self._each("add", record)

    def close(self) -> None:
        """Write what is left to be written."""
        self._each("close")

    def _each(self, what: str, *args: Any) -> None:
        for text, tracker in list(self._trackers.items()):
            try:
                getattr(tracker, what)(*args)
            except Exception as error:  # of a server, a disk or a library: no reason to stop computing
                del self._trackers[text]
                told = shortened(one_line(error))[:200]
                print(
                    f"{text} shows no more trials: {told}; the same command adds them later", file=sys.stderr
                )


def curves(record: Record) -> dict[str, list[tuple[int, float]]]:
    """Return what was measured along a training: "training/loss" → pairs of update and value."""
    curve = record.curve or {}
    updates = [int(update) for update in curve.get("update", ())]
    named = {}
    for name, values in curve.items():
        if name != "update" and len(values) == len(updates):
            part = "held_out" if name.startswith(HELD_OUT) else "training"
            named[f"{part}/{name.removeprefix(HELD_OUT)}"] = list(zip(updates, values, strict=True))
    return named


def ends(record: Record) -> dict[str, float]:
    """Return what a trial ended with: "trial/accuracy" → value."""
    values = {name: getattr(record, name) for name in ENDS}
    return {f"trial/{name}": float(value) for name, value in values.items() if value is not None}


def settings(record: Record) -> dict[str, str]:
    """Return what a trial was computed with, as texts by names with dots."""
    protocol = {name: value for name, value in record.protocol.items() if name != "content"}
    learner = {name: value for name, value in record.learner.items() if name != "libraries"}
    head = {"method": record.method, "seed": record.seed, "threads": record.threads, "device": record.device}
    return {
        name: str(value) for name, value in _flat({**head, "protocol": protocol, "learner": learner}).items()
    }


def _flat(value: object, name: str = "") -> dict[str, object]:
    if not isinstance(value, Mapping):
        return {name: value}
    return {key: leaf for k, v in value.items() for key, leaf in _flat(v, f"{name}.{k}".lstrip(".")).items()}


import_all(__name__, __path__)
