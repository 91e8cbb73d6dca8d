"""Photos that resemble no other: of something else, or taken by accident."""

from __future__ import annotations

import numpy as np

from fewshot.inspection.unusual import unusual

NEIGHBOURS = 3  # the distance to the third nearest photo counts: two strangers of one kind are strangers
SPREAD = 0.1  # of the logarithm of distances, at least
LEAST = 0.5
PART = 500  # photos whose distances are in memory at once


def outliers(features: np.ndarray, groups: np.ndarray | None = None) -> tuple[tuple[int, float], ...]:
    """Return the positions of outliers with how sure that is, 0 to 1, the surest first.

    Parameters
    ----------
    features
        (N, D); their directions are compared.
    groups
        (N,), the same number for near-duplicates, which are no neighbours of each other.
    """
    features = np.asarray(features, np.float64)
    n = len(features)
    if n < 4 * NEIGHBOURS:  # too few to say what is usual
        return ()
    points = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    numbers = np.arange(n) if groups is None else np.asarray(groups)
    third = np.empty(n)
    for start in range(0, n, PART):
        part = slice(start, start + PART)
        squares = np.maximum(2 - 2 * points[part] @ points.T, 0)
        squares[numbers[part, None] == numbers] = np.inf
        third[part] = np.partition(squares, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1]
    third = np.where(np.isfinite(third), third, np.median(third))  # hardly any photo is not its duplicate
    if not np.isfinite(third).all():
        return ()
    sure = unusual(np.log(np.sqrt(third) + 1e-3), SPREAD)
    order = np.argsort(-third, kind="stable")
    return tuple((int(i), float(sure[i])) for i in order if sure[i] >= LEAST)
