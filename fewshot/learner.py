"""Learners: everything that can be trained on a task and predict, behind one small contract."""

from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from fewshot import backend
from fewshot.augment.expand import expand, size, versions
from fewshot.augment.online import policies
from fewshot.data.dataset import Dataset
from fewshot.models import networks
from fewshot.recipe import Recipe

ENGINE_VERSION = 1  # raise it when the engine's results change


@dataclass(frozen=True)
class Fit:
    """What training took. `curve` maps "update", "loss", "accuracy", … to equally long lists."""

    n_train: int
    updates: int
    images_seen: int
    parameters: int
    curve: dict[str, list]


class Learner(Protocol):
    """The contract. A learner is a dataclass: its fields are its settings, `fit` stores what it learnt."""

    fitted: Fit

    def fit(self, train: Dataset, seed: int, watch: Dataset | None = None) -> "Learner":
        """Learn from `train` alone and return self; `watch` may be measured for curves, nothing else.

        Raises `DivergedError` where training breaks down.
        """

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities, float (N, classes), of uint8 images (N, height, width, 3)."""

    def describe(self) -> dict:
        """Return all that determines results beside task, seed and threads, as JSON: part of the key."""

    def workload(self, n: int) -> str:
        """Return in words what training on `n` images takes."""


@dataclass
class KerasLearner:
    """A registered network, trained by a recipe on the task's images and what an expansion adds to them.

    expansion: an expression of `fewshot.augment.grammar`, such as "flip+rotation".
    """

    network: str = "baseline"
    recipe: Recipe = Recipe()
    expansion: str = "none"

    def fit(self, train: Dataset, seed: int, watch: Dataset | None = None) -> "KerasLearner":
        """Train from new weights. Needs `fewshot.backend.start` before."""
        from fewshot.engine import compiled

        examples = expand(train, self.expansion, seed, self.recipe.epochs)
        self._engine = compiled(self.network, self.recipe, train.image_shape, len(train.classes))
        curve = self._engine.fit(examples, seed, watch)
        self._weights = self._engine.weights()
        self.fitted = Fit(
            n_train=len(examples),
            updates=self.recipe.steps(len(examples)),
            images_seen=self.recipe.images_seen(len(examples)),
            parameters=sum(int(np.prod(v.shape)) for v in self._engine.network.trainable_variables),
            curve={name: points for name, points in asdict(curve).items() if points},
        )
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict with the weights that `fit` found (other fits may have used the engine since)."""
        self._engine.load(self._weights)
        return self._engine.predict(x)

    def describe(self) -> dict:
        """Return the settings, the versions of what they name, and the libraries that compute."""
        expanded = versions(self.expansion)
        libraries = ["keras", backend.name(), "numpy"]
        if set(expanded) != {"none"}:
            libraries.append("albumentations")
        return {
            **asdict(self),
            "versions": {
                "engine": ENGINE_VERSION,
                "network": networks[self.network].version,
                "policy": policies[self.recipe.policy].version,
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
        return f"{examples:9,} images {self.recipe.steps(examples):9,} updates"
