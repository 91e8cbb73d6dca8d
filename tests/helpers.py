"""What several test files use: the quick study, records real and made up, a learner that takes no time."""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from fewshot.data.protocols import Protocol
from fewshot.errors import DivergedError
from fewshot.io.digests import key_of
from fewshot.learners.contract import Fit, Learner
from fewshot.methods.resolve import resolve
from fewshot.trials.record import Record
from fewshot.trials.store import FORMAT, read
from fewshot.trials.trial import Trial

QUICK = ("--data", "digits", "--quick")
ALONE = (*QUICK, "--jobs", "1")  # in the process of the command: no worker imports TensorFlow for two trials


def records(out) -> dict[str, Record]:
    """Return the records of a results folder by key, without what differs from run to run."""
    recorded, odd = read(Path(out) / "trials.jsonl")
    assert not odd
    return timeless(recorded.values())


def timeless(records: Iterable[Record]) -> dict[str, Record]:
    """Return records by key, without what differs from run to run."""
    return {record.key: replace(record, seconds=0.0, setup_seconds=None, date="") for record in records}


@contextlib.contextmanager
def forgetting(*registries):
    """Take out again what the block registers: a process runs many tests, and a worker gets all of it."""
    known = [set(registry) for registry in registries]
    try:
        yield
    finally:
        for registry, names in zip(registries, known, strict=True):
            for name in set(registry) - names:
                registry.remove(name)


def one_line(errors: str) -> str:
    """Return the error, which is one line, the header of the study apart."""
    lines = [line for line in errors.splitlines() if "error:" in line]
    assert len(lines) == 1, errors
    assert errors.splitlines()[-1] == lines[0], errors
    return lines[0]


@dataclass
class Brightness(Learner):
    """Tells classes apart by the mean brightness of their training images; some seeds go wrong."""

    scale: float = 20.0
    diverges: tuple[int, ...] = ()

    uses_backend = False

    def fit(self, train, seed, watch=None, checkpoint=None):
        if seed in self.diverges:
            raise DivergedError("the loss was no longer finite at update 3 of 10")
        self._labels = np.unique(train.y)
        self._centres = np.array([train.x[train.y == label].mean() for label in self._labels])
        self._outputs = len(train.classes)
        curve = {"update": [1], "loss": [1.0], "accuracy": [50.0]}
        if watch:
            curve |= {"held_out_loss": [1.0], "held_out_accuracy": [50.0]}
        self.fitted = Fit(len(train), updates=1, images_seen=len(train), parameters=2, curve=curve)
        return self

    def predict(self, x):
        distance = np.abs(x.mean((1, 2, 3))[:, None] - self._centres) / self.scale
        probabilities = np.zeros((len(x), self._outputs))
        probabilities[:, self._labels] = np.exp(-distance)
        return probabilities / probabilities.sum(1, keepdims=True)


def trials_of(data, *learners, seeds=3, **options):
    """Return the trials of learners, named a, b, …, seed by seed."""
    return [
        Trial(name, learner, Protocol("testbed"), data, seed, **options)
        for seed in range(seeds)
        for name, learner in zip("abcdef", learners, strict=False)
    ]


def kept(
    method: str, seed: int, accuracy: float | None, shots=50, threads=1, learner=None, **fields
) -> Record:
    """Return a complete record, as the testbed writes it; a failed one where the accuracy is None."""
    identity = {
        "protocol": {**Protocol(shots=shots).describe(), "data": "blobs", "content": "c" * 64},
        "learner": {"kind": "Brightness", "method": method, "libraries": {"numpy": "2.0"}, **(learner or {})},
        "seed": seed,
        "threads": threads,
        "device": "cpu",
    }
    measured = {"n_train": 100, "updates": 10, "images_seen": 1000, "parameters": 2}
    curve = {"update": [1, 10], "loss": [0.7, 0.1], "accuracy": [50.0, 90.0]}
    values = dict(accuracy=accuracy, balanced_accuracy=accuracy, nll=0.5, curve=curve, **measured)
    content = {
        "key": key_of(identity),
        "method": method,
        "status": "failed" if accuracy is None else "ok",
        "reason": "diverged" if accuracy is None else None,
        "classes": ["cat", "dog"],
        **(dict.fromkeys(values) if accuracy is None else values),
        "seconds": 2.0,
        **identity,
        "date": "2026-01-02T03:04:05+00:00",
        "machine": {"cpu": "x86_64", "python": "3.12.0"},
        "fewshot": "0.1.0",
        "n_test": 700,
        "n_pool": 10000,
        **fields,
    }
    return Record.from_json(content)


def keep(folder, *records: Record, predictions=None) -> Path:
    """Write records to a results folder, each with the predictions, and return the folder.

    Without the store, which waits for the disk after every one.
    """
    folder = Path(folder)
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    with open(folder / "trials.jsonl", "a") as file:
        for record in records:
            file.write(json.dumps({"format": FORMAT, **record.to_json()}) + "\n")
            if predictions:
                count = len(predictions["labels"])
                places = {"index": np.arange(count), "part": np.array("train")}
                np.savez(folder / "predictions" / f"{record.key}.npz", **{**places, **predictions})
    return folder


def learner(name: str, training=MappingProxyType({})):
    """Return the learner that a method's name stands for."""
    return resolve(name, training)[1]


def photos(folder: Path, count: int, side: int = 48) -> Path:
    """Write noisy photos of two classes, so many of each."""
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder
