"""What is measured on held-out images."""

import numpy as np

NAMES = ("accuracy", "balanced_accuracy", "nll")


def measure(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return accuracy and balanced accuracy in percent, and the mean negative log-likelihood.

    probabilities: (N, classes); labels: (N,).
    """
    right = probabilities.argmax(1) == labels
    likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "accuracy": float(100 * right.mean()),
        "balanced_accuracy": float(100 * np.mean([right[labels == c].mean() for c in np.unique(labels)])),
        "nll": float(-np.log(np.maximum(likelihood, 1e-12)).mean()),
    }
