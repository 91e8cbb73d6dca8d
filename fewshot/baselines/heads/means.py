"""Heads that know class means: linear discriminant analysis and the nearest mean."""

from __future__ import annotations

import numpy as np

from fewshot.baselines.heads.rotated import Parts, Rotated


def discriminant(rows: Rotated) -> Parts:
    """Linear discriminant analysis with equal priors and a shrunk within-class covariance."""
    scores = np.zeros((len(rows.y), rows.classes))
    for fold, mask in enumerate(rows.masks):
        coefficients, bias = _discriminant(rows, mask)
        out = rows.folds == fold
        scores[out] = rows.z[out] @ coefficients + bias
    coefficients, bias = _discriminant(rows, np.ones(len(rows.y), bool))
    steep = rows.steepness(scores if rows.tested.any() else rows.z @ coefficients + bias)
    return coefficients * steep, bias * steep, scores * steep, None


def _class_means(rows: Rotated, mask: np.ndarray) -> np.ndarray:
    """Return the weighted means of the classes, (C, r), of the rows in the mask."""
    members = (rows.y[mask] == np.arange(rows.classes)[:, None]) * rows.weights[mask]
    members /= members.max(1, keepdims=True)  # equal ones are 1: the mean of one row is that row, exactly
    return members @ rows.z[mask] / members.sum(1, keepdims=True)


def _discriminant(rows: Rotated, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    means, y, weights = _class_means(rows, mask), rows.y[mask], rows.weights[mask]
    sums = np.bincount(y, weights)
    # Of unequal weights as many rows count as of equal ones would tell as much (Kish 1965).
    n = (sums**2 / np.bincount(y, weights**2)).sum()
    within = (rows.z[mask] - means[y]) * np.sqrt(n * weights / (rows.classes * sums[y]))[:, None]
    covariance, floor = shrunk_covariance(within.astype(rows.precision, copy=False), rows.width, n)
    if floor <= 0:  # one photo a class: nothing varies within
        covariance, floor = np.zeros_like(covariance), rows.square
    covariance.flat[:: len(covariance) + 1] += floor
    from scipy.linalg import cho_factor, cho_solve

    coefficients = cho_solve(cho_factor(covariance, check_finite=False), means.T, check_finite=False)
    return coefficients, -0.5 * (means.T * coefficients).sum(0)


def shrunk_covariance(rows: np.ndarray, width: int, n: float) -> tuple[np.ndarray, float]:
    """Return the covariance of rows of mean 0, times 1 less the shrinkage, and what its diagonal gets.

    n: how many rows there are, those of unequal weights told by what they are worth.

    As `sklearn.covariance.ledoit_wolf(…, assume_centered=True)` for the rows before they were rotated into
    fewer dimensions than `width`: what it shrinks to is the mean variance of `width` features.
    """
    covariance = rows.T @ rows / n
    total, squares = np.trace(covariance), np.square(covariance).sum()
    mean = total / width
    fourth = np.square(np.square(rows).sum(1)).sum()
    noise = (fourth / n - squares) / n / width
    distance = (squares - 2 * mean * total + width * mean**2) / width
    shrinkage = min(noise, distance) / distance if distance > 0 and noise > 0 else 0.0
    return (1 - shrinkage) * covariance, shrinkage * mean


def centroid(rows: Rotated) -> Parts:
    """The nearest class mean; how fast probabilities fall with distance follows from photos held out."""

    def nearest(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        means = _class_means(rows, mask)
        return 2 * means.T, -np.square(means).sum(1)

    scores = np.zeros((len(rows.y), rows.classes))
    for fold, mask in enumerate(rows.masks):
        coefficients, bias = nearest(mask)
        out = rows.folds == fold
        scores[out] = rows.z[out] @ coefficients + bias
    coefficients, bias = nearest(np.ones(len(rows.y), bool))
    steep = rows.steepness(scores if rows.tested.any() else rows.z @ coefficients + bias)
    return coefficients * steep, bias * steep, scores * steep, None
