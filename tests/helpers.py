"""What several test files use: the quick study and its records, and a learner that takes no time."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewshot.data.tasks import Protocol
from fewshot.errors import DivergedError
from fewshot.learner import Fit
from fewshot.testbed import Trial

QUICK = ("--data", "digits", "--quick")


def records(out) -> dict[str, dict]:
    """Return the records of a results folder by key, without what differs from run to run."""
    lines = (Path(out) / "trials.jsonl").read_text().splitlines()
    found = {record["key"]: record for record in map(json.loads, lines)}
    for record in found.values():
        del record["seconds"], record["date"]
    return found


def one_line(errors: str) -> str:
    """Return the error, which is one line, the header of the study apart."""
    lines = [line for line in errors.splitlines() if "error:" in line]
    assert len(lines) == 1, errors
    assert errors.splitlines()[-1] == lines[0], errors
    return lines[0]


@dataclass
class Brightness:
    """Tells classes apart by the mean brightness of their training images; some seeds go wrong."""

    scale: float = 20.0
    diverges: tuple[int, ...] = ()

    def fit(self, train, seed, watch=None):
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

    def check(self, shape):
        pass

    def shared(self):
        return ()

    def describe(self):
        return {"scale": self.scale}


def trials_of(data, *learners, seeds=3, **options):
    """Return the trials of learners, named a, b, …, seed by seed."""
    return [
        Trial(name, learner, Protocol("testbed"), data, seed, **options)
        for seed in range(seeds)
        for name, learner in zip("abcdef", learners, strict=False)
    ]
