"""Classical baselines: scikit-learn estimators on pixels, registered by name.

A definition is a function of its settings that returns a classifier: `ridge:alpha=100` names one with a
setting changed. It is fitted to float32 rows in [0, 1], one flattened image each.
"""

import numpy as np

from fewshot.settings import Configurable

estimators = Configurable("estimator", namespace="method")


def build(text: str, seed: int):
    """Return the classifier that `text` names; what it draws at random follows from `seed`."""
    estimator = estimators.build(text)
    seeds = [key for key in estimator.get_params() if key.split("__")[-1] == "random_state"]
    return estimator.set_params(**dict.fromkeys(seeds, seed))


def rows(x: np.ndarray) -> np.ndarray:
    """Return images, uint8, as float32 rows in [0, 1]."""
    found = x.reshape(len(x), -1).astype(np.float32)
    found /= 255  # in place: the rows of a whole dataset are held once
    return found


def probabilities(estimator, features: np.ndarray, classes: int) -> np.ndarray:
    """Return (N, classes): 0 for classes that the estimator never saw.

    An estimator without probabilities gets the softmax of its decision function, or all for its answer.
    """
    found = np.zeros((len(features), classes))
    labels = estimator.classes_
    if hasattr(estimator, "predict_proba"):
        found[:, labels] = estimator.predict_proba(features)
    elif hasattr(estimator, "decision_function"):
        scores = estimator.decision_function(features)
        scores = np.stack([-scores / 2, scores / 2], 1) if scores.ndim == 1 else scores
        scores = np.exp(scores - scores.max(1, keepdims=True))
        found[:, labels] = scores / scores.sum(1, keepdims=True)
    else:
        found[np.arange(len(features)), estimator.predict(features)] = 1
    return found


from fewshot.baselines import linear, pixels  # noqa: E402, F401  (they register their estimators)
