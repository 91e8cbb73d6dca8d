"""Likelihood, softmax and cross-entropy: what a network's outputs mean, and what training makes small.

The likelihood of data is the product, over all images, of the probability that the network gives to the
true class. Its logarithm is a sum, of which the negative is the cross-entropy between the true and the
predicted distributions: the least cross-entropy is the greatest likelihood.
"""

from __future__ import annotations

import numpy as np


def likelihood(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Return Π over images n and classes k of p[n, k] to the power of t[n, k]; both (N, classes)."""
    return float(np.prod(probabilities**targets))


def cross_entropy(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Return -Σ over images n and classes k of t[n, k] log p[n, k], where t is not 0; both (N, classes)."""
    true = targets > 0
    return float(-(targets[true] * np.log(probabilities[true])).sum())


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, (N, classes): e to the power of each logit, divided by the sum."""
    return np.exp(log_softmax(logits))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of `softmax`. Subtracting the largest logit changes nothing but overflow."""
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def softmax_cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean cross-entropy of the softmax over a batch, and its gradient to the logits.

    The gradient of the two together is simple: the probabilities minus the targets.
    """
    logs = log_softmax(logits)
    loss = -(targets * logs).sum(1).mean()
    return float(loss), (np.exp(logs) - targets) / len(logits)
