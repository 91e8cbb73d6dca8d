"""Classical baselines: scikit-learn estimators on pixels, registered by name, in any file of this folder.

A definition is a function of its settings that returns a classifier: `ridge:alpha=100` names one with a
setting changed. It is fitted to float32 rows in [0, 1], one flattened image each. Traits: `least_size`, the
smallest side of images, for estimators that take square images alone; `libraries` that compute beside
scikit-learn; `dense`, how it becomes one dense layer where that is not seen (`fewshot.baselines.dense`).
"""

from __future__ import annotations

import numpy as np

from fewshot.errors import UsageError
from fewshot.identity import place_of
from fewshot.registry import import_all
from fewshot.settings import Configurable, split

estimators = Configurable("estimator", namespace="method")


def build(text: str, seed: int):
    """Return the classifier that `text` names; what it draws at random follows from `seed`."""
    estimator = estimators.build(text)
    if not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
        place = place_of(estimators[split(text)[0]].make)
        raise UsageError(
            f"the estimator '{text}' ({place}) returns no scikit-learn estimator. "
            f"Received: {type(estimator).__name__}"
        )
    return seeded(estimator, seed)


def seeded(estimator, seed: int):
    """Return the estimator; what it and its parts draw at random follows from `seed`."""
    seeds = [key for key in estimator.get_params() if key.split("__")[-1] == "random_state"]
    return estimator.set_params(**dict.fromkeys(seeds, seed))


def first_step(estimator):
    """Return the first step of a pipeline of several; None for other estimators."""
    steps = getattr(estimator, "steps", [])
    return steps[0][1] if len(steps) > 1 else None


def weights_parameter(estimator) -> str | None:
    """Return by which name `fit` takes what each row counts; None where the estimator knows no weights."""
    from sklearn.utils.validation import has_fit_parameter

    steps = getattr(estimator, "steps", None)
    last = steps[-1][1] if steps else estimator
    if not has_fit_parameter(last, "sample_weight"):
        return None
    return f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"


def rows(x: np.ndarray) -> np.ndarray:
    """Return images, uint8, as float32 rows in [0, 1]."""
    scaled = x.reshape(len(x), -1).astype(np.float32)
    scaled /= 255  # in place: the rows of a whole dataset are held once
    return scaled


def probabilities(estimator, features: np.ndarray, classes: int) -> np.ndarray:
    """Return (N, classes): 0 for classes that the estimator never saw.

    An estimator without probabilities gets the softmax of its decision function, or all for its answer.
    """
    shares = np.zeros((len(features), classes))
    labels = estimator.classes_
    if hasattr(estimator, "predict_proba"):
        shares[:, labels] = estimator.predict_proba(features)
    elif hasattr(estimator, "decision_function"):
        scores = estimator.decision_function(features)
        scores = np.stack([-scores / 2, scores / 2], 1) if scores.ndim == 1 else scores
        scores = np.exp(scores - scores.max(1, keepdims=True))
        shares[:, labels] = scores / scores.sum(1, keepdims=True)
    else:
        shares[np.arange(len(features)), estimator.predict(features)] = 1
    return shares


# Without what is slow to import, and used by what is registered.
import_all(
    __name__,
    __path__,
    but=(
        "classifiers",
        "dense",
        "heads",
        "neighbours",
        "numpy_net",
        "patches",
        "patches_graph",
        "ssim",
        "tiles",
    ),
)
