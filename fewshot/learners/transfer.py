"""Transfer: a network trained on other classes first, then on the task's images, all of it or its end.

What is learnt first comes from a dataset's training images of all classes that the task does not have; it is
kept in the cache by all that determines it, and shared by all methods on the task.
"""

from __future__ import annotations

import copy
import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fewshot import backend
from fewshot.backbones.features import PIXELS
from fewshot.data import DataSpec, Prepared, open_splits, prepare
from fewshot.data.dataset import Dataset
from fewshot.data.protocols import Task
from fewshot.errors import FewshotError, UsageError, field
from fewshot.learners.contract import Wrapper, wrappers
from fewshot.learners.keras_network import KerasLearner
from fewshot.models import networks
from fewshot.settings import Count, Layers
from fewshot.training.trained import cached

RANDOM = "none"  # no dataset: the control, random weights frozen and trained alike


@wrappers.register("transfer")
@dataclass
class TransferLearner(Wrapper):
    """A network on pixels, trained on the classes that the task does not have, first.

    transfer: the dataset whose other classes come first (training images alone), or none: random weights.
    last: so many of the last layers with weights are then trained, the rest stays as it is; 1 is a new head
    on frozen features, 0 trains all. pretrain_epochs: of the first training, by the same recipe.
    """

    base: KerasLearner  # or what is like one: `__post_init__`
    transfer: str = "cifar10"
    last: Layers = 0
    pretrain_epochs: Count = 5

    def __post_init__(self) -> None:
        if not self.base.starts_from_weights:
            raise UsageError("transfer= is for networks: what is trained first gives their weights")

    def fit(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> TransferLearner:
        """Train the base from what has learnt the other classes, from the cache or now."""
        start = self._start(train, seed)
        self.base = copy.copy(self.base).fit(train, seed, watch, checkpoint, start=start, last=self.last)
        return self

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for what cannot be trained on images of this shape."""
        super().check(shape)
        if self.base.features != PIXELS or networks.trait(self.base.network, "pretrained"):
            raise UsageError("transfer= is for networks with new weights, on pixels")
        if self.transfer != RANDOM:
            source_shape = open_splits(_source(self.transfer).folder).train.image_shape
            if source_shape != shape:
                raise UsageError(
                    f"{self.transfer} has images of {_size(source_shape)}, not {_size(shape)}: "
                    f"use {field('image_size')}"
                )

    def shared(self) -> tuple:
        """Return what decides what is trained first."""
        return () if self.transfer == RANDOM else (json.dumps(self._first(), sort_keys=True),)

    def prepare(self, task: Task) -> None:
        """Train on the other classes, for this and every other method."""
        self._start(task.train, task.seed)

    def describe(self) -> dict:
        """Return the settings, and the content of the dataset that comes first."""
        source = None if self.transfer == RANDOM else _source(self.transfer).fingerprint
        return super().describe() | {"source": source}

    def _start(self, train: Dataset, seed: int) -> list[list[np.ndarray]] | None:
        """Return the weights of every layer to begin with; from the cache, or trained now."""
        if self.transfer == RANDOM:
            return None
        source, labels = self._other_classes(train)
        classes = [source.classes[label] for label in labels]
        identity = self._first() | {"classes": classes, "seed": seed, "computer": backend.started()}

        def train_first() -> tuple[dict, list[np.ndarray]]:
            learner = self._before().fit(self._others(train), seed)
            layers = [layer.get_weights() for layer in learner.members()[0].layers]
            return {"layers": list(map(len, layers))}, [array for layer in layers for array in layer]

        note, weights = cached("pretrained", identity, train_first)
        flat = iter(weights)
        return [[next(flat) for _ in range(count)] for count in note["layers"]]

    def _others(self, train: Dataset) -> Dataset:
        """Return the source's training images of all classes that the task does not have."""
        source, labels = self._other_classes(train)
        return source.take(np.flatnonzero(np.isin(source.y, labels))).compact()

    def _other_classes(self, train: Dataset) -> tuple[Dataset, list[int]]:
        """Return the source's training images and the labels, among theirs, that the task does not have."""
        whole = open_splits(_source(self.transfer).folder).train
        present = {train.classes[label] for label in np.unique(train.y)}
        others = [label for label, name in enumerate(whole.classes) if name not in present]
        if len(others) < 2:
            raise UsageError(
                f"{self.transfer} has no two classes beside those of the task: transfer from another dataset "
                "(transfer=cifar100), or to fewer classes"
            )
        return whole, others

    def _before(self) -> KerasLearner:
        """Return what learns the other classes: one network, by the same recipe."""
        recipe = replace(self.base.recipe, epochs=self.pretrain_epochs, updates=None, ensemble_size=1)
        return KerasLearner(self.base.network, recipe)

    def _first(self) -> dict:
        """Return what determines the first training, beside the task's classes and seed."""
        return {"learner": self._before().describe(), "content": _source(self.transfer).fingerprint}


@functools.cache
def _source(name: str) -> Prepared:
    """Return a dataset by name or folder, fetched if need be; `UsageError` where it cannot be had."""
    try:
        return prepare(DataSpec(name))
    except UsageError:
        raise
    except FewshotError as error:
        if name == "cifar10":
            raise
        raise FewshotError(
            f"{error}; transfer=cifar10 needs no second dataset: it takes the classes that a task lacks"
        ) from error


def _size(shape: tuple[int, int, int]) -> str:
    return f"{shape[0]}×{shape[1]}"
