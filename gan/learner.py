"""A learner on synthetic images: any other learner, given what generators make of its training images."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from fewshot.augment import offline as expand
from fewshot.data.dataset import Dataset
from fewshot.data.protocols import Task
from fewshot.errors import UsageError
from fewshot.learners.contract import Learner, Wrapper, wrappers
from fewshot.settings import Range, Share
from gan.generators import cached, sample_images
from gan.networks import check_shape
from gan.recipe import parse

Samples = Annotated[int, Range(1, 1_000_000, whole=True)]
CANDIDATES = 3  # samples drawn for each that a filter is to leave


@wrappers.register("synthetic", takes=("offline",))
@dataclass
class SyntheticLearner(Wrapper):
    """`base`, trained on a task's images and on `synthetic` generated ones a class, or on these alone.

    gan: the preset of the generators, which see the task's training images only, enlarged by `offline`
    where one is given (the few-shot report's scheme); `base` is then trained on the expanded set, too.
    What `fitted` says is of the base: generators are shared, and their time is not in it.
    real: no leaves the real images out. share: the least share of real images in training: they are
    repeated until they have it; 0 leaves them as they are. keep: all samples, or those to which `base`,
    trained on the real images alone, gives the label that they were made for (agree).
    """

    base: Learner
    synthetic: Samples = 1000
    gan: str = "best"
    offline: str = "none"
    real: bool = True
    share: Share = 0.0
    keep: Literal["all", "agree"] = "all"

    weighs = True  # through the base: generators see every image once

    def fit(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> SyntheticLearner:
        """Train the base on a set of its own. Generators come from the cache, or are trained now."""
        real = self._expanded(train, seed)
        samples = self._synthetic_images(real, seed)
        # What is synthetic is as many of each class; the base counts them all alike, or repeats some.
        parts = [real] * self._repeats(len(real), len(samples)) + [samples] if self.real else [samples]
        whole = Dataset(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in "xy"),
            train.classes,
            prior=train.prior,
        )
        self.base = copy.copy(self.base).train(whole, seed, watch, checkpoint)
        return self

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for what cannot be generated or trained on images of this shape."""
        parse(self.gan)
        check_shape(shape)
        expand.check(self.offline, shape)
        if expand.mixes(self.offline):
            raise UsageError(f"'{self.offline}' averages images in the graph: a GAN needs images")
        self.base.check(shape)

    def shared(self) -> tuple:
        """Return what of the learner decides what `prepare` does."""
        return (*self.base.shared(), self.gan, self.offline)

    def prepare(self, task: Task) -> None:
        """Train the task's generators, for this and every other learner."""
        super().prepare(task)
        self._generators(self._expanded(task.train, task.seed), task.seed)

    def describe(self) -> dict:
        """Return the settings, and what base and generators are described by."""
        return super().describe() | {
            "gan": parse(self.gan).describe(),
            "offline": expand.versions(self.offline) | {"expression": self.offline},
        }

    def workload(self, n: int) -> str:
        """Return in words what training on `n` images takes."""
        return f"{self.base.workload(n)} and {self.synthetic:,} synthetic images a class"

    def _expanded(self, train: Dataset, seed: int) -> Dataset:
        examples = expand.expand(train, self.offline, seed)
        return Dataset(examples.x, examples.targets.argmax(1), train.classes, prior=train.prior)

    def _generators(self, real: Dataset, seed: int):
        return cached(parse(self.gan), real.compact(), seed)

    def _synthetic_images(self, real: Dataset, seed: int) -> Dataset:
        """Return the synthetic images, labelled as the task's are."""
        each = self.synthetic * (CANDIDATES if self.keep == "agree" else 1)
        samples = sample_images(self._generators(real, seed), each, seed)
        labels = np.array([real.classes.index(name) for name in samples.classes])
        samples = Dataset(samples.x, labels[samples.y], real.classes)
        if self.keep == "all":
            return samples
        judge = copy.copy(self.base).train(real, seed)
        agreed = judge.predict(samples.x).argmax(1) == samples.y
        kept = [np.flatnonzero(agreed & (samples.y == label))[: self.synthetic] for label in labels]
        return samples.take(np.concatenate(kept))

    def _repeats(self, real: int, synthetic: int) -> int:
        """Return how often the real images are taken, so that they have their share."""
        wanted = self.share / (1 - self.share) * synthetic / real
        return max(1, round(wanted))
