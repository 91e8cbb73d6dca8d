"""The networks from scratch as learners: the same tasks, recipes and records as the Keras networks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fewshot.augment.offline import check, expand, mixes
from fewshot.baselines import numpy_net
from fewshot.baselines.numpy_net import nets
from fewshot.baselines.numpy_net.optimizers import optimizers
from fewshot.baselines.numpy_net.train import check_recipe
from fewshot.baselines.numpy_net.train import train as run
from fewshot.data.dataset import Dataset
from fewshot.errors import UsageError
from fewshot.learners.contract import Fit
from fewshot.learners.inputs import views
from fewshot.learners.network import NetworkLearner

ENGINE_VERSION = 1  # raise it when the results of layers, optimisers or training change


@dataclass
class NumpyLearner(NetworkLearner):
    """A registered NumPy network, trained by a recipe on a task's images and what offline augmentation adds.

    The recipe's online augmentation, moving average and ensembles are not for it; `check` says so.
    """

    uses_backend = False

    def fit(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> NumpyLearner:
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

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for what cannot be trained on images of this shape; takes no time."""
        check(self.offline, shape)
        if mixes(self.offline):
            raise UsageError(f"'{self.offline}' averages images in the graph: that is for Keras networks")
        numpy_net.check(self.network, shape)
        check_recipe(self.recipe)

    def describe(self) -> dict:
        """Return the settings, the versions of what they name, and the libraries that compute."""
        return self._described(nets, optimizers, ENGINE_VERSION, "numpy")

    def workload(self, n: int) -> str:
        """Return in words what training on `n` images takes."""
        examples = self.examples(n)
        return f"{examples:9,} images {self.recipe.steps(examples):9,} updates, NumPy"
