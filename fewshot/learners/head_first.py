"""The head first: a backbone is trained on under a head that was fitted to its frozen features.

Under a head that is drawn at random the first updates pull the backbone anywhere, and what it knew of other
images is lost (Kumar et al., "Fine-tuning can distort pretrained features", arXiv 2202.10054). Fitted to
frozen features, in closed form or nearly so, a head takes no updates at all.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from fewshot import baselines
from fewshot.backbones.features import describe, extract
from fewshot.baselines.dense import as_dense
from fewshot.data.dataset import Dataset
from fewshot.errors import UsageError
from fewshot.learners.contract import Wrapper, wrappers
from fewshot.learners.keras_network import KerasLearner
from fewshot.models import networks

ABSENT = -30.0  # the logit of a class without an image; those of the others are around 0


@wrappers.register("head_first")
@dataclass
class HeadFirstLearner(Wrapper):
    """A backbone trained on under a head that was fitted to its frozen features.

    head_first: the estimator that is fitted, to standardised features.
    """

    base: KerasLearner  # or what is like one: `__post_init__`
    head_first: Literal["logistic-cv", "ridge-gcv", "lda", "svm"] = "logistic-cv"

    weighs = True

    def __post_init__(self) -> None:
        if not self.base.starts_from_weights:
            raise UsageError(
                "head_first= is for networks: what is fitted first gives the last layer's weights"
            )

    def fit(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> HeadFirstLearner:
        """Fit the head, then train the base from it."""
        head, repeated = self._head(train, seed), train.repeated(seed)
        self.base = copy.copy(self.base).fit(repeated, seed, watch, checkpoint, head=head)
        return self

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for what cannot be trained on images of this shape."""
        super().check(shape)
        self._features()

    def describe(self) -> dict:
        """Return the settings, and what determines the features."""
        estimator = baselines.estimators.version(self.head_first)
        return super().describe() | {"features": describe(self._features()), "estimator": estimator}

    def _features(self) -> str:
        """Return the frozen features that are what the network's last layer sees before it is trained."""
        text = networks.trait(self.base.network, "frozen")
        if text is None:
            raise UsageError(
                "head_first= is for pretrained backbones that are trained on as they are, such as "
                f"tuned:backbone=efficientnet-lite0. Received: {self.base.network}"
            )
        return text

    def _head(self, train: Dataset, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel (D, classes) and bias (classes,) of the head, fitted to the training images."""
        rows = extract(self._features(), train.x)
        estimator = baselines.build(self.head_first, seed)
        weighted = baselines.weights_parameter(estimator)
        weights = {weighted: train.weights} if weighted and train.prior == "natural" else {}
        present, labels = np.unique(train.y, return_inverse=True)
        kernel = np.zeros((rows.shape[1], len(train.classes)), np.float32)
        bias = np.full(len(train.classes), ABSENT, np.float32)
        if len(present) > 1:
            _, kernel[:, present], bias[present] = as_dense(
                estimator.fit(rows, labels, **weights), rows.shape[1]
            )
        else:
            bias[present] = 0
        return kernel, bias
