"""What `experiments.baselines` measures: searches for neighbours, class means and networks, job by job.

A job is done in parts, each recorded as it ends: a search in blocks of test images, a cross-validation in
folds. What is kept are answers, not scores: positions of neighbours serve every k, and answers any table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fewshot import baselines, settings
from fewshot.baselines import estimators, numpy_net
from fewshot.baselines.numpy_net.train import folds, one_hot, train
from fewshot.data.dataset import Dataset
from fewshot.errors import DivergedError, UsageError
from fewshot.learners.estimator import EstimatorLearner
from fewshot.learners.numpy_network import NumpyLearner
from fewshot.stats import metrics
from fewshot.training.recipe import Recipe

VERSION = 1  # raise it when the results of jobs change
BLOCK = 1000  # test images that are answered at a time
KEPT = 3  # neighbours, or as many as the largest k wants
WATCHED = 1000  # test images that curves are measured on: looking at them costs next to nothing

Part: TypeAlias = "tuple[int, dict, dict[str, np.ndarray]]"  # its number, what to record, the arrays to keep
Advance = Callable[[int], object]  # is told how much more of `Job.work` is done


@dataclass(frozen=True)
class Bench:
    """The images, and the seed of what networks draw at random."""

    train: Dataset
    test: Dataset
    seed: int = 0

    def blocks(self) -> list[slice]:
        """Return the test images in blocks."""
        return [slice(start, start + BLOCK) for start in range(0, len(self.test), BLOCK)]


@dataclass(frozen=True)
class Job:
    """One thing to measure.

    name: as `--method` names it. group: of methods. minutes: about so many on two cores for all of
    CIFAR-10; the cheapest job runs first.
    """

    name: str
    group: str
    minutes: float

    def check(self, bench: Bench) -> None:
        """Raise `UsageError` for what cannot be; takes no time."""

    def describe(self) -> dict:
        """Return all that determines the results beside images, seed and machine, as JSON."""
        raise NotImplementedError

    def compiles(self) -> bool:
        """Tell whether Keras's backend computes, on the device that the user chose."""
        return False

    def parts(self, bench: Bench) -> int:
        """Return how many parts there are."""
        return 1

    def work(self, bench: Bench) -> tuple[int, str]:
        """Return how much work a part is, and in which unit: what a progress bar shows."""
        raise NotImplementedError

    def compute(self, bench: Bench, parts: Sequence[int], advance: Advance) -> Iterator[Part]:
        """Yield the parts as they end."""
        raise NotImplementedError


@dataclass(frozen=True)
class Centres(Job):
    """The nearest class mean. estimator: as `fewshot.baselines` names it."""

    estimator: str

    def check(self, bench):
        EstimatorLearner(self.estimator).check(bench.train.image_shape)

    def describe(self):
        return EstimatorLearner(self.estimator).describe()

    def compiles(self):
        return bool(estimators.trait(self.estimator, "libraries"))

    def work(self, bench):
        return len(bench.test), "image"

    def compute(self, bench, parts, advance):
        classifier, answers = baselines.build(self.estimator, bench.seed), []
        begin = time.perf_counter()
        classifier.fit(baselines.rows(bench.train.x), bench.train.y)
        for block in bench.blocks():
            answers.append(classifier.predict(baselines.rows(bench.test.x[block])))
            advance(len(answers[-1]))
        yield 0, {"seconds": time.perf_counter() - begin}, {"answers": np.concatenate(answers)}


@dataclass(frozen=True)
class Search(Centres):
    """The nearest training images of every test image; one search serves every k up to `most`."""

    most: int = 1

    @property
    def kept(self) -> int:
        """How many neighbours are kept."""
        return max(KEPT, self.most)

    def check(self, bench):
        super().check(bench)
        if self.most > len(bench.train):
            raise UsageError(
                f"k must be from 1 to the number of training images, {len(bench.train)}. "
                f"Received: {self.most}"
            )

    def describe(self):
        return {**super().describe(), "kept": self.kept, "block": BLOCK}

    def parts(self, bench):
        return len(bench.blocks())

    def work(self, bench):
        return min(BLOCK, len(bench.test)) * len(bench.train), "pair"

    def compute(self, bench, parts, advance):
        k = min(self.kept, len(bench.train))
        search = baselines.build(settings.changed(self.estimator, k=k), bench.seed)
        search.progress = advance
        begin = time.perf_counter()
        search.fit(baselines.rows(bench.train.x), bench.train.y)
        for part in parts:
            _, positions = search.kneighbors(baselines.rows(bench.test.x[bench.blocks()[part]]))
            seconds = time.perf_counter() - begin  # those of the first part include `fit`
            yield part, {"seconds": seconds}, {"positions": positions.astype(np.int32)}
            begin = time.perf_counter()


@dataclass(frozen=True)
class Network(Job):
    """A network in NumPy, trained once, or once for each fold of a cross-validation."""

    network: str
    recipe: Recipe
    folds: int = 0

    def check(self, bench):
        NumpyLearner(self.network, self.recipe).check(bench.train.image_shape)
        if self.folds:
            next(folds(bench.train.y, self.folds, bench.seed))

    def describe(self):
        return {**NumpyLearner(self.network, self.recipe).describe(), "folds": self.folds}

    def parts(self, bench):
        return self.folds or 1

    def work(self, bench):
        n = len(bench.train)
        return self.recipe.steps(n - n // self.folds if self.folds else n), "update"

    def compute(self, bench, parts, advance):
        data, watch = bench.train, bench.test.take(in_turn(bench.test.y, WATCHED))
        divided = list(folds(data.y, self.folds, bench.seed)) if self.folds else []
        for part in parts:
            seen = data.take(divided[part][0]) if divided else data
            network = numpy_net.build(self.network, data.image_shape, len(data.classes), bench.seed)
            targets = one_hot(seen.y, len(data.classes))
            begin = time.perf_counter()
            try:
                curve = train(network, seen.x, targets, self.recipe, bench.seed, watch, lambda *_: advance(1))
            except DivergedError as error:
                seconds = time.perf_counter() - begin
                yield part, {"status": "failed", "reason": str(error), "seconds": seconds}, {}
                continue
            seconds = time.perf_counter() - begin
            record = {"seconds": seconds, "parameters": network.size, "curve": vars(curve)}
            record["epochs"] = self.recipe.steps(len(seen)) / self.recipe.epoch_steps(len(seen))
            if divided:
                unseen = data.take(divided[part][1])
                record["fold"] = metrics.measure(network.predict(unseen.x), unseen.y)
            probabilities = network.predict(bench.test.x)
            record |= metrics.measure(probabilities, bench.test.y)
            yield part, record, {"answers": probabilities.argmax(1)}


def vote(positions: np.ndarray, labels: np.ndarray, k: int, classes: int) -> np.ndarray:
    """Return the class that most of the k nearest are of, int (N,); of equals the first.

    positions: (N, k or more), of training images, nearest first. labels: theirs.
    """
    votes = labels[positions[:, :k]][:, :, None] == np.arange(classes)
    return votes.sum(1).argmax(1)


def in_turn(labels: np.ndarray, limit: int | None) -> np.ndarray:
    """Return `limit` positions, in order: the first images of all classes, as many of each as can be."""
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order])
    rank = np.empty(len(labels), int)
    rank[order] = np.arange(len(labels)) - starts  # the how many-th of its class
    return np.sort(np.lexsort((labels, rank))[:limit])
