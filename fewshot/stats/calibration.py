"""Calibration: probabilities that mean what they say, by one temperature (arXiv 1706.04599).

The probabilities of all members and views of a learner are averaged, so there are no logits to divide: the
logarithms of the mean take their place, which is the same where there is one member.

Nothing that was learnt from photos is certain: a share of DOUBT of every calibrated answer is spread over all
classes, so that none is ever shown as 100.0 %, whatever a network says of a photo unlike all that it knows.
"""

from __future__ import annotations

import numpy as np

FLOOR = 1e-7  # probabilities are at least so much: the store's half precision knows none below, but 0
RANGE = 0.1, 10.0  # temperatures that are looked for
DOUBT = 0.002
MOST_SURE = 0.999  # as which any probability is shown at most
SURELY_WRONG = 0.01  # the share of predictions, at least, that may be wrong however sure they are


def fit_temperature(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Return the temperature with the least robust loss on held-out predictions.

    probabilities: (N, classes), as a learner predicts them on images that it was not trained on, from
    several tasks where there are several. labels: (N,). weights: (N,), what each counts: less than 1 where
    several are about one image. Above 1 the learner was overconfident, below 1 underconfident.

    Targets are smoothed by 1 / (n + 2), n being the sum of the weights (Platt 1999): where all predictions
    are right, however few they are, plain likelihood would ask for certainty. And a few wrong labels, or
    images unlike all others, must not decide for the rest: each prediction's likelihood p counts as
    (1 - e) p + e / classes, as if a share e of all images had a label by chance.
    """
    from scipy.optimize import minimize_scalar

    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    if probabilities.ndim != 2 or not len(labels) or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            "a temperature is fitted to probabilities (N, classes) and as many labels. "
            f"Received: {probabilities.shape} and {labels.shape}"
        )
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    logs = np.log(np.maximum(probabilities, FLOOR))
    smooth = 1 / (weights.sum() + 2)
    target = (1 - smooth) * logs[np.arange(len(labels)), labels] + smooth * logs.mean(1)
    chance = max(SURELY_WRONG, smooth)

    def loss(log_temperature: float) -> float:
        beta = np.exp(-log_temperature)
        likelihood = np.exp(beta * target - _log_sum_exp(beta * logs))
        robust = (1 - chance) * likelihood + chance / logs.shape[1]
        return float(-(weights * np.log(robust)).sum())

    # A bounded loss may have several minima: the best of a grid, then the exact place beside it.
    grid = np.linspace(np.log(RANGE[0]), np.log(RANGE[1]), 41)
    best = int(np.argmin([loss(place) for place in grid]))
    around = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
    optimum = minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(optimum.x))


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities, (N, classes), calibrated by a temperature."""
    logs = np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR)) / temperature
    return (1 - DOUBT) * np.exp(logs - _log_sum_exp(logs)[:, None]) + DOUBT / logs.shape[1]


def calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Return the expected calibration error in points: between how sure answers are, and how often right.

    probabilities: (N, classes). labels: (N,). weights: (N,), what each counts.
    """
    probabilities = np.asarray(probabilities, np.float64)
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    excess = weights * (probabilities.max(1) - (probabilities.argmax(1) == labels))
    return float(100 * sum(abs(excess[part].sum()) for part in bins(probabilities)) / weights.sum())


def error_by_chance(probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the calibration error in points that perfect probabilities show of so few predictions.

    Of a bin's mean, the mean deviation of a normal variable of its variance. Arguments as above.
    """
    sure = np.asarray(probabilities, np.float64).max(1)
    weights = np.ones(len(sure)) if weights is None else np.asarray(weights, np.float64)
    variance = weights**2 * sure * (1 - sure)
    deviations = [np.sqrt(2 / np.pi * variance[part].sum()) for part in bins(probabilities)]
    return float(100 * sum(deviations) / weights.sum())


def bins(probabilities: np.ndarray) -> list[np.ndarray]:
    """Return the positions of predictions, (N, classes), in bins by how sure they are.

    Up to ten of as many predictions each, 20 or more: fewer would differ by chance alone.
    """
    order = np.argsort(np.asarray(probabilities, np.float64).max(1), kind="stable")
    return np.array_split(order, max(1, min(10, len(order) // 20)))


def _log_sum_exp(logs: np.ndarray) -> np.ndarray:
    largest = logs.max(1, keepdims=True)
    return largest[:, 0] + np.log(np.exp(logs - largest).sum(1))
