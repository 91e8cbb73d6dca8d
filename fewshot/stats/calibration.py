"""Calibration: probabilities that mean what they say, by one temperature (arXiv 1706.04599).

The probabilities of all members and views of a learner are averaged, so there are no logits to divide: the
logarithms of the mean take their place, which is the same where there is one member.
"""

import numpy as np

FLOOR = 1e-7  # probabilities are at least so much: the store's half precision knows none below, but 0
RANGE = 0.01, 100.0  # temperatures that are looked for


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature with the least negative log-likelihood on held-out predictions.

    probabilities: (N, classes), as a learner predicts them on images that it was not trained on, from
    several tasks where there are several. labels: (N,). Above 1 the learner was overconfident, below
    1 underconfident.

    Targets are smoothed by 1 / (N + 2) (Platt 1999): where all predictions are right, however few they
    are, plain likelihood would ask for certainty.
    """
    from scipy.optimize import minimize_scalar

    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    if probabilities.ndim != 2 or not len(labels) or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            "a temperature is fitted to probabilities (N, classes) and as many labels. "
            f"Received: {probabilities.shape} and {labels.shape}"
        )
    logs = np.log(np.maximum(probabilities, FLOOR))
    smooth = 1 / (len(labels) + 2)
    target = (1 - smooth) * logs[np.arange(len(labels)), labels] + smooth * logs.mean(1)

    def loss(log_temperature: float) -> float:
        beta = np.exp(-log_temperature)
        return float(np.mean(_log_sum_exp(beta * logs) - beta * target))

    # The loss is convex in 1 / temperature, so it has one minimum in any monotonous function of it.
    optimum = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(optimum.x))


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities, (N, classes), calibrated by a temperature; 1 changes nothing."""
    logs = np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR)) / temperature
    return np.exp(logs - _log_sum_exp(logs)[:, None])


def _log_sum_exp(logs: np.ndarray) -> np.ndarray:
    largest = logs.max(1, keepdims=True)
    return largest[:, 0] + np.log(np.exp(logs - largest).sum(1))
