"""A fitted linear estimator as the weights of one dense layer, whose softmax is what it predicts."""

import numpy as np

from fewshot.errors import UsageError


def as_dense(estimator, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel (inputs, classes) and bias (classes,), float32, of a fitted classifier or pipeline.

    What comes before the classifier, standardisation and a selection of inputs, is folded into the
    weights. Raises `UsageError` for a step that is not linear, or not known to be.
    """
    *steps, classifier = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    kept, scale, offset = np.arange(inputs), np.ones(inputs), np.zeros(inputs)
    for step in steps:
        kept, scale, offset = _after(step, kept, scale, offset)
    weights, bias = _classifier(classifier)
    kernel = np.zeros((inputs, len(bias)))
    kernel[kept] = scale[:, None] * weights
    bias = bias + offset @ weights
    # Softmax knows differences only: without what all classes share, float32 has more digits for them.
    return tuple((part - part.mean(-1, keepdims=True)).astype(np.float32) for part in (kernel, bias))


def _after(step, kept: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return which inputs are left after a step, and what has become of each: scale · input + offset."""
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.preprocessing import StandardScaler

    if isinstance(step, VarianceThreshold):
        chosen = step.get_support()
        return kept[chosen], scale[chosen], offset[chosen]
    if isinstance(step, StandardScaler):
        mean = 0 if step.mean_ is None else step.mean_
        deviation = 1 if step.scale_ is None else step.scale_
        return kept, scale / deviation, (offset - mean) / deviation
    raise _not_linear(step)


def _classifier(classifier) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (inputs, classes) and bias; their softmax is `fewshot.baselines.probabilities`."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.neighbors import NearestCentroid

    if isinstance(classifier, LogisticRegression | RidgeClassifier):
        weights, bias = np.atleast_2d(classifier.coef_).T, np.atleast_1d(classifier.intercept_)
        if weights.shape[1] == 1:  # one score tells two classes apart
            weights, bias = weights * [-0.5, 0.5], bias * [-0.5, 0.5]
        return weights, bias
    if isinstance(classifier, NearestCentroid) and classifier.metric == "euclidean":
        # −|x − c|² is 2 x·c − |c|² and a part that all classes share, x and c in within-class deviations.
        deviation = np.where(classifier.within_class_std_dev_ == 0, 1, classifier.within_class_std_dev_)
        centres = classifier.centroids_ / deviation
        bias = 2 * np.log(classifier.class_prior_) - (centres**2).sum(1)
        return 2 * (centres / deviation).T, bias
    raise _not_linear(classifier)


def _not_linear(step) -> UsageError:
    return UsageError(
        f"{type(step).__name__} cannot be exported: of estimators only linear ones become a network "
        "(RidgeClassifier, LogisticRegression, NearestCentroid; StandardScaler, VarianceThreshold before)"
    )
