"""What is measured on held-out images."""

from __future__ import annotations

import numpy as np

NAMES = ("accuracy", "balanced_accuracy", "nll")


def measure(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return accuracy and balanced accuracy in percent, and the mean negative log-likelihood.

    probabilities: (N, classes); labels: (N,).
    """
    correct = probabilities.argmax(1) == labels
    likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "accuracy": float(100 * correct.mean()),
        "balanced_accuracy": float(100 * np.mean([correct[labels == c].mean() for c in np.unique(labels)])),
        "nll": float(-np.log(np.maximum(likelihood, 1e-12)).mean()),
    }


def confusion(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """Return how many images of each class (rows) got each answer (columns), int (classes, classes).

    labels, answers: (N,), positions of classes. The same way round as scikit-learn's `confusion_matrix`.
    """
    cells = np.asarray(labels, np.int64) * classes + answers
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def scores(matrix: np.ndarray) -> dict[str, float]:
    """Return accuracy and macro precision, recall and F1 of a confusion matrix, in percent.

    Macro: a plain mean over the classes that occur among labels or answers. F1 is the mean of the classes'
    F1, not that of the means. What would be 0 / 0 counts as 0. All as scikit-learn's `average="macro"`.
    """
    correct, images, answers = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    occurs = images + answers > 0
    precision, recall, f1 = (
        (correct / np.maximum(count, 1))[occurs].mean() for count in (answers, images, (images + answers) / 2)
    )
    values = {"accuracy": correct.sum() / matrix.sum(), "precision": precision, "recall": recall, "f1": f1}
    return {name: float(100 * value) for name, value in values.items()}


def shares(matrix: np.ndarray) -> np.ndarray:
    """Return a confusion matrix in percent of the images of each class (rows); 0 without images."""
    return 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)


def per_class(matrix: np.ndarray) -> np.ndarray:
    """Return the accuracy on each class (its recall) in percent, float (classes,); NaN without images."""
    return np.where(matrix.sum(1) > 0, np.diag(shares(matrix)), np.nan)


def most_confused(matrix: np.ndarray, count: int) -> list[tuple[int, int, float]]:
    """Return (class, answer, value) of the largest mistakes in a matrix of counts or shares, in order."""
    mistakes = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    places = zip(*np.unravel_index(order, matrix.shape), strict=True)
    return [(int(i), int(j), mistakes[i, j].item()) for i, j in places if mistakes[i, j]]
