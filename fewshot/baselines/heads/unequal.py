"""What puts scores right that were learnt from few photos: unequal classes, and the doubt that is due."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

SHRUNK = 1e-3  # of squared shifts, beside the log loss: finite, however well photos are told apart


def correction(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return factor and shift, (C,), of scores of held-out rows, (n, C), with the least log loss.

    targets: (n, C), what they are to say. weights: (n,), what each row counts, 1 in all.
    """
    from scipy.optimize import minimize

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        factor, shift = np.exp(parameters[0]), parameters[1:]
        logs = log_softmax(factor * scores + shift, 1)
        slope = weights[:, None] * (np.exp(logs) - targets)
        value = -float(weights @ (targets * logs).sum(1)) + SHRUNK * shift @ shift
        gradient = slope.sum(0) + 2 * SHRUNK * shift
        return value, np.append(factor * (slope * scores).sum(), gradient)

    solution = minimize(loss, np.zeros(1 + scores.shape[1]), jac=True, method="L-BFGS-B").x
    return float(np.exp(solution[0])), solution[1:]


def doubtful(y: np.ndarray, classes: int, photos: int) -> np.ndarray:
    """Return what scores are to say of classes, (n, C), where the smallest has so many photos.

    Nobody is ever quite sure (Platt 1999): of k photos a class, one more of every other is imagined.
    """
    doubt = 1 / (photos + 2)
    targets = np.full((len(y), classes), doubt / (classes - 1))
    targets[np.arange(len(y)), y] = 1 - doubt
    return targets
