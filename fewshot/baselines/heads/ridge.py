"""Ridge regression, its penalty by leaving photos out in closed form."""

from __future__ import annotations

import numpy as np

from fewshot.baselines.heads.rotated import Parts, Rotated, two_sided

PENALTIES = np.logspace(-3, 3, 25)  # in mean squared lengths of a row


def ridge(rows: Rotated) -> Parts:
    """Regression of ±1 with the penalty whose leave-one-photo-out error is least."""
    penalties = PENALTIES * rows.square
    aims, answers, kept, wrong = _left_out(rows, penalties)
    root = np.sqrt(rows.weights)[:, None]
    best = np.square(wrong).mean((1, 2)).argmin()
    held_out = two_sided((aims - wrong[best]) / root)
    coefficients = kept[best][:, None] * answers / np.sqrt(rows.energy)[:, None]
    bias = (rows.weights @ (aims / root)) / rows.weights.sum()
    steep = rows.steepness(held_out)
    coefficients, bias = two_sided(coefficients) * steep, two_sided(bias) * steep
    return coefficients, bias, held_out * steep, penalties[best]


def ridge_held_out(rows: Rotated, penalty: float) -> np.ndarray:
    """Return scores (n, C) of ridge regression of ±1 with a penalty, of each photo by all the others."""
    aims, _, _, wrong = _left_out(rows, np.array([penalty]))
    return two_sided((aims - wrong[0]) / np.sqrt(rows.weights)[:, None])


def _left_out(rows: Rotated, penalties: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what ridge regression is to say, and by how much it is wrong of photos that it has not seen.

    aims: (n, targets), ±1 times the roots of the weights. answers: (r, targets), the aims along the axes.
    kept: (penalties, r), how much of these is left. wrong: (penalties, n, targets).
    """
    root = np.sqrt(rows.weights)[:, None]
    targets = 2.0 * (rows.y[:, None] == np.arange(rows.classes)) - 1
    targets = targets[:, 1:] if rows.classes == 2 else targets
    constant = root / np.linalg.norm(root)
    left = rows.z * root / np.sqrt(rows.energy)  # orthonormal, and orthogonal to the constant
    aims = targets * root
    answers, mean = left.T @ aims, constant.T @ aims
    kept = rows.energy / (rows.energy + penalties[:, None])  # (penalties, r)
    rest = aims - constant @ mean - left @ (kept[:, :, None] * answers)  # (penalties, n, targets)
    wrong = np.empty_like(rest)
    for positions in _by_size(rows.groups):  # (groups, size)
        size = positions.shape[1]
        if size == 1:
            row = positions[:, 0]
            hat = np.square(left[row]) @ kept.T + np.square(constant[row])
            errors = rest[:, row] / np.maximum(1 - hat.T, 1e-10)[:, :, None]
            wrong[:, row] = errors
            continue
        part, ones = left[positions], constant[positions]
        shared = ones @ ones.swapaxes(1, 2)
        for penalty, share in enumerate(kept):
            hat = (part * share) @ part.swapaxes(1, 2) + shared
            errors = np.linalg.solve(np.eye(size) * (1 + 1e-10) - hat, rest[penalty, positions])
            wrong[penalty, positions] = errors
    return aims, answers, kept, wrong


def _by_size(groups: np.ndarray) -> list[np.ndarray]:
    """Return the positions of the groups' members, (groups, size), an array for each size."""
    _, number, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(number, kind="stable")
    starts = np.cumsum(counts) - counts
    return [
        order[starts[counts == size][:, None] + np.arange(size)]
        for size in np.flatnonzero(np.bincount(counts))
    ]
