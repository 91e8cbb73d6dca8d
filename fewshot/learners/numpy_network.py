"""The networks from scratch as learners: the same tasks, recipes and records as the Keras networks."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from fewshot import backend
from fewshot.augment.offline import check, expand, mixes, size, versions
from fewshot.baselines import numpy_net
from fewshot.baselines.numpy_net import nets
from fewshot.baselines.numpy_net.optimizers import optimizers
from fewshot.baselines.numpy_net.train import check_recipe
from fewshot.baselines.numpy_net.train import train as run
from fewshot.data.dataset import Dataset
from fewshot.errors import UsageError
from fewshot.learners.contract import Fit, Learner
from fewshot.learners.inputs import views
from fewshot.training.recipe import Recipe, schedules

ENGINE_VERSION = 1  # raise it when the results of layers, optimisers or training change


@dataclass
class NumpyLearner(Learner):
    """A registered NumPy network, trained by a recipe on a task's images and what offline augmentation adds.

    The recipe's online augmentation, moving average and ensembles are not for it; `check` says so.
    """

    network: str
    recipe: Recipe = Recipe()
    offline: str = "none"

    def fit(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> "NumpyLearner":
        """Train from new weights."""
        examples = expand(train, self.offline, seed, self.recipe.epochs)
        self._net = numpy_net.build(self.network, train.image_shape, len(train.classes), seed)
        curve = run(self._net, examples.x, examples.targets, self.recipe, seed, watch, views=examples.views)
        self.fitted = Fit(
            n_train=len(examples),
            updates=self.recipe.steps(len(examples)),
            images_seen=self.recipe.images_seen(len(examples)),
            parameters=self._net.size,
            curve={name: points for name, points in asdict(curve).items() if points},
        )
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities, (N, classes)."""
        return np.mean([self._net.predict(view) for view in views(x, self.recipe.tta_flip)], 0)

    def with_training(self, training: Mapping[str, object]) -> Self:
        """Return the learner with some fields of its recipe changed."""
        return replace(self, recipe=replace(self.recipe, **training))

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for what cannot be trained on images of this shape; takes no time."""
        check(self.offline, shape)
        if mixes(self.offline):
            raise UsageError(f"'{self.offline}' averages images in the graph: that is for Keras networks")
        numpy_net.check(self.network, shape)
        check_recipe(self.recipe)

    def describe(self) -> dict:
        """Return the settings, the versions of what they name, and the libraries that compute."""
        expanded = versions(self.offline)
        libraries = ["numpy"] if set(expanded) == {"none"} else ["numpy", "albumentations"]
        return {
            **asdict(self),
            "network": nets.canonical(self.network),
            "versions": {
                "engine": ENGINE_VERSION,
                "network": nets.version(self.network),
                "optimizer": optimizers[self.recipe.optimizer].version,
                "schedule": schedules[self.recipe.schedule].version,
                "offline": expanded,
            },
            "libraries": backend.versions(*libraries),
        }

    def examples(self, n: int) -> int:
        """Return how many examples an epoch has for a task of `n` training images."""
        return size(self.offline, n)

    def workload(self, n: int) -> str:
        """Return in words what training on `n` images takes."""
        examples = self.examples(n)
        return f"{examples:9,} images {self.recipe.steps(examples):9,} updates, NumPy"
