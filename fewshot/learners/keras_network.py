"""Learners: everything that can be trained on a task and predict, behind one small contract."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

import fewshot.backbones.tuned  # noqa: F401  (registers its network)
from fewshot import backend
from fewshot.augment import online
from fewshot.augment.offline import Examples, check, expand, mixes, size, versions
from fewshot.backbones.features import PIXELS, describe, extract
from fewshot.data.dataset import Dataset
from fewshot.data.protocols import Task
from fewshot.errors import DivergedError, UsageError
from fewshot.models import check_size, networks
from fewshot.seeding import stream_seed
from fewshot.training.recipe import Recipe, schedules

ENGINE_VERSION = 1  # raise it when the engine's results change


@dataclass(frozen=True)
class Fit:
    """What training took. `curve` maps "update", "loss", "accuracy", … to equally long lists.

    seconds_before: those of a training that was cut off, and was gone on with here.
    """

    n_train: int
    updates: int
    images_seen: int
    parameters: int
    curve: dict[str, list]
    seconds_before: float = 0.0


class Learner(Protocol):
    """The contract. A learner is a dataclass: its fields are its settings, `fit` stores what it learnt."""

    fitted: Fit

    def fit(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> "Learner":
        """Learn from `train` alone and return self; `watch` may be measured for curves, nothing else.

        checkpoint: a file to keep a long training in along the way, and to go on from; few learners do.
        Raises `DivergedError` where training breaks down.
        """

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities, float (N, classes), of uint8 images (N, height, width, 3)."""

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for what cannot be trained on images of this shape; takes no time."""

    def shared(self) -> tuple:
        """Return what of the learner decides what `prepare` does; nothing for nothing."""

    def prepare(self, task: Task) -> None:
        """Compute what several learners share on a task, and keep it on disk."""

    def describe(self) -> dict:
        """Return all that determines results beside task, seed and threads, as JSON: part of the key."""

    def workload(self, n: int) -> str:
        """Return in words what training on `n` images takes."""


@dataclass
class KerasLearner:
    """A registered network, trained by a recipe on the task's images and what an expansion adds to them.

    expansion: an expression of `fewshot.augment.grammar`, such as "flip+rotation".
    features: what the network sees: "pixels", or backbones' features (`fewshot.backbones.features`).
    """

    network: str = "baseline"
    recipe: Recipe = Recipe()
    expansion: str = "none"
    features: str = PIXELS

    def fit(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> "KerasLearner":
        """Train from new weights, or go on from a checkpoint. Needs `fewshot.backend.start` before.

        The curve is the mean of the members', each of which has a checkpoint of its own.
        """
        recipe, examples = self.recipe, self._examples(train, seed)
        if self.features != PIXELS:
            watch = watch and replace(watch, x=extract(self.features, watch.x))
        self._engine = self._compiled(examples.x.shape[1:], len(train.classes))
        start = self._start(train, seed)
        self._members, curves, before = [], [], 0.0
        for member in range(recipe.members):
            own_seed = stream_seed(seed, f"member {member}") if member else seed
            own = checkpoint and checkpoint.with_name(f"{checkpoint.name}-{member}.npz")
            curves.append(asdict(self._engine.fit(examples, recipe, own_seed, watch, own, start)))
            before += self._engine.seconds_before
            self._members.append(self._engine.weights())
        self.fitted = self._fitted(len(examples), curves, before)
        return self

    def fit_together(
        self, trains: Sequence[Dataset], seeds: Sequence[int]
    ) -> "list[KerasLearner | DivergedError]":
        """Train once for each seed, on its own images, in one compiled call; on JAX, without members.

        Returns a fitted learner for each, or the error with which its training broke down.
        """
        from fewshot.training import together

        examples = [self._examples(train, seed) for train, seed in zip(trains, seeds, strict=True)]
        engine = self._compiled(examples[0].x.shape[1:], len(trains[0].classes))
        found = []
        for outcome in together.fit(engine, examples, self.recipe, seeds):
            if isinstance(outcome, DivergedError):
                found.append(outcome)
                continue
            curve, weights = outcome
            fitted = copy.copy(self)
            fitted._engine, fitted._members = engine, [weights]
            fitted.fitted = fitted._fitted(len(examples[0]), [asdict(curve)], 0.0)
            found.append(fitted)
        return found

    def _examples(self, train: Dataset, seed: int) -> Examples:
        """Return what the network is trained on."""
        examples = expand(train, self.expansion, seed, self.recipe.epochs)
        if self.features == PIXELS:
            return examples
        return replace(examples, x=extract(self.features, examples.x))

    def _fitted(self, n: int, curves: list[dict], before: float) -> Fit:
        recipe = self.recipe
        return Fit(
            n_train=n,
            updates=recipe.members * recipe.steps(n),
            images_seen=recipe.members * recipe.images_seen(n),
            parameters=recipe.members * self._engine.parameters,
            curve=_mean(curves),
            seconds_before=before,
        )

    def _compiled(self, shape: tuple[int, int, int], outputs: int):
        from fewshot.training.engine import compiled

        return compiled(self.network, self.recipe, shape, outputs)

    def _start(self, train: Dataset, seed: int) -> list[list[np.ndarray]] | None:
        """Return the weights of every layer to begin with, or None for new ones."""
        return None

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict with the weights that `fit` found (other fits may have used the engine since)."""
        seen = [_seen(self.features, view) for view in views(x, self.recipe.mirror)]
        probabilities = []
        for weights in self._members:
            self._engine.load(weights)
            probabilities += [self._engine.predict(view) for view in seen]
        return np.mean(probabilities, 0)

    def members(self) -> list:
        """Return the trained networks, `keras.Model`s from what they see to logits: one a member."""
        return [self._engine.network_with(weights) for weights in self._members]

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for images too small for the network, or that an expansion cannot take."""
        check(self.expansion, shape)
        if self.features == PIXELS:
            check_size(self.network, shape)
            return
        check_copies(self.expansion)
        if not networks.trait(self.network, "rows"):
            raise UsageError(f"the network '{self.network}' takes images, not features: use linear or hidden")
        if self.recipe.policy != "none":
            raise UsageError(
                f"the policy '{self.recipe.policy}' draws images anew, and features are computed once: "
                "use an expansion (expansion=flip), or train the backbone"
            )

    def shared(self) -> tuple:
        """Return what of the learner decides what `prepare` does; nothing for nothing."""
        return () if self.features == PIXELS else (self.features, self.expansion, self.recipe.mirror)

    def prepare(self, task: Task) -> None:
        """Compute the features of a task, for this and every other learner."""
        prepare_features(task, *self.shared(), epochs=self.recipe.epochs)

    def describe(self) -> dict:
        """Return the settings, the versions of what they name, and the libraries that compute."""
        expanded = versions(self.expansion)
        libraries = ["keras", backend.name(), "numpy"]
        if set(expanded) != {"none"}:
            libraries.append("albumentations")
        pretrained = networks.trait(self.network, "pretrained")
        return {
            **asdict(self),
            **({"pretrained": pretrained} if pretrained else {}),
            "features": describe(self.features),
            "network": networks.canonical(self.network),
            "versions": {
                "engine": ENGINE_VERSION,
                "network": networks.version(self.network),
                "policy": online.versions(self.recipe.policy),
                "schedule": schedules[self.recipe.schedule].version,
                "expansion": expanded,
            },
            "libraries": backend.versions(*libraries),
        }

    def examples(self, n: int) -> int:
        """Return how many examples an epoch has for a task of `n` training images."""
        return size(self.expansion, n)

    def workload(self, n: int) -> str:
        """Return in words what training on `n` images takes."""
        examples = self.examples(n)
        return f"{examples:9,} images {self.recipe.members * self.recipe.steps(examples):9,} updates"


def views(x: np.ndarray, mirror: bool) -> list[np.ndarray]:
    """Return what predictions of images are averaged over: the images, and their mirror images if asked."""
    return [x, x[:, :, ::-1]] if mirror else [x]


def _seen(features: str, x: np.ndarray) -> np.ndarray:
    """Return what a network sees of images."""
    return x if features == PIXELS else extract(features, x)


def check_copies(expansion: str) -> None:
    if mixes(expansion):
        raise UsageError(f"'{expansion}' averages images in the graph: that is for networks on pixels")


def prepare_features(
    task: Task, features: str, expansion: str, mirror: bool, epochs: int | None = None
) -> None:
    for x in (expand(task.train, expansion, task.seed, epochs).x, *views(task.test.x, mirror)):
        extract(features, x)


def _mean(curves: list[dict[str, list]]) -> dict[str, list]:
    """Return the mean of equally long curves, without the parts that were not measured."""
    measured = {name: [curve[name] for curve in curves] for name in curves[0] if curves[0][name]}
    means = {name: np.mean(points, 0).tolist() for name, points in measured.items()}
    return means | {"update": curves[0]["update"]}
