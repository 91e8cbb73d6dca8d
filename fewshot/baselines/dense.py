"""A fitted linear estimator as the weights of one dense layer, whose softmax is what it predicts.

What an estimator is made of is asked, not known by name: a step before the classifier may be any that scales,
shifts, selects or mixes its inputs, a classifier any that has `coef_` and `intercept_`. One that keeps its
weights in another way says how at its registration, by the trait `dense`. Rows brought to length 1, centred
or not, are the one step that is no part of the weights: it stands before the layer. Whether the layer
predicts what the estimator does is tried, in the end, on random inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fewshot.baselines.scales import Scale
from fewshot.errors import UsageError

Dense: TypeAlias = "tuple[np.ndarray, np.ndarray]"  # weights (inputs, classes), bias (classes,)
PROBED = (
    4096  # inputs, of steps that are known by their answers alone: these take a square of as many numbers
)
TRIED, TOLERANCE = 16, 1e-3  # random inputs, and the difference between probabilities


def as_dense(
    estimator, inputs: int, dense: Callable[[object], Dense] | None = None
) -> tuple[Scale, np.ndarray, np.ndarray]:
    """Return what is done to a row first, and kernel (inputs, classes) and bias (classes,), float32.

    estimator: a fitted classifier or pipeline. The scale is that of rows brought to length 1, or none.
    dense: returns the weights and bias, before the softmax, of the fitted classifier at a pipeline's end; by
    default they are its `coef_` and `intercept_`. Steps before it are folded into the weights.

    Raises `UsageError` for an estimator whose probabilities are not those of such a layer.
    """
    *steps, classifier = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    scale, steps = _lengths(steps)
    weights, bias = (dense or _coefficients)(classifier)
    kernel, bias = _folded(steps, inputs, np.asarray(weights, float), np.asarray(bias, float))
    _check(estimator, scale, kernel, bias)
    # Softmax knows differences only: without what all classes share, float32 has more digits for them.
    kernel, bias = ((part - part.mean(-1, keepdims=True)).astype(np.float32) for part in (kernel, bias))
    return scale, kernel, bias


def _lengths(steps: list) -> tuple[Scale, list]:
    """Return the scale of steps that bring rows to length 1, centred or not, and the steps after them."""
    for i, step in enumerate(steps[:2]):
        if getattr(step, "norm", None) != "l2" or not hasattr(step, "transform"):
            continue
        if i == 0:
            return Scale("l2"), steps[1:]
        if getattr(steps[0], "scale_", 1) is None and getattr(steps[0], "mean_", None) is not None:
            return Scale("l2", steps[0].mean_), steps[2:]
    return Scale("affine"), steps


def _coefficients(classifier) -> Dense:
    """Return the weights of a linear classifier; their softmax is `fewshot.baselines.probabilities`."""
    if not (hasattr(classifier, "coef_") and hasattr(classifier, "intercept_")):
        raise _not_linear(classifier)
    weights, bias = np.atleast_2d(classifier.coef_).T, np.atleast_1d(classifier.intercept_)
    if weights.shape[1] == 1:  # one score tells two classes apart
        weights, bias = weights * [-0.5, 0.5], bias * [-0.5, 0.5]
    return weights, np.broadcast_to(bias, weights.shape[1])


def _folded(steps: list, inputs: int, weights: np.ndarray, bias: np.ndarray) -> Dense:
    """Return weights and bias on a pipeline's inputs, of those on what its steps make of them."""
    for step in reversed(steps):
        if hasattr(step, "get_support"):  # a selection of inputs
            kernel = np.zeros((len(step.get_support()), weights.shape[1]))
            kernel[step.get_support()] = weights
            weights = kernel
        elif hasattr(step, "mean_") and hasattr(step, "scale_"):  # (x − mean) / scale
            scale = np.ones(len(weights)) if step.scale_ is None else step.scale_
            mean = np.zeros(len(weights)) if step.mean_ is None else step.mean_
            weights = weights / scale[:, None]
            bias = bias - mean @ weights
        else:
            columns = getattr(step, "n_features_in_", inputs)
            if columns > PROBED or not hasattr(step, "transform"):
                raise _not_linear(step)
            zero = step.transform(np.zeros((1, columns)))
            first, second = np.random.default_rng(0).uniform(size=(2, 1, columns))
            parts, whole = (
                step.transform(x) - zero for x in (np.concatenate([first, second]), first + second)
            )
            if not np.allclose(parts.sum(0), whole[0], rtol=1e-3, atol=1e-6):
                raise _not_linear(step)
            linear = step.transform(np.eye(columns)) - zero
            weights, bias = linear @ weights, bias + zero[0] @ weights
    return weights, bias


def _check(estimator, scale: Scale, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Raise `UsageError` where the layer does not predict what the estimator does."""
    from scipy.special import softmax

    from fewshot.baselines import probabilities

    rows = np.random.default_rng(0).uniform(size=(TRIED, len(kernel)))
    labels = np.asarray(estimator.classes_)
    expected = probabilities(estimator, rows, int(labels.max()) + 1)[:, labels]
    if (
        expected.shape[1] != len(bias)
        or np.abs(softmax(scale(rows) @ kernel + bias, 1) - expected).max() > TOLERANCE
    ):
        raise _not_linear(estimator)


def _not_linear(part) -> UsageError:
    return UsageError(
        f"{type(part).__name__} cannot be exported: of estimators only those become a network that predict "
        "the softmax of weighted sums of their inputs (logistic, ridge, centroid)"
    )
