"""Scales of features that cannot explode: fitted to training rows, the same function for all others.

    none        as they are
    zscore      mean 0 and deviation 1, the deviation floored
    l2          rows of length 1
    centred-l2  the training mean taken off, then rows of length 1

A feature that hardly varies among a few photos may vary on the next: divided by its own tiny deviation it
would outvote all others. So no deviation counts as less than that of the feature at the 25th percentile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

ScaleName = Literal["none", "zscore", "l2", "centred-l2"]
SCALES: tuple[ScaleName, ...] = ("none", "zscore", "l2", "centred-l2")
FLOOR = 25  # percentile of the deviations
TINY = 1e-12  # lengths and deviations below are zeros


@dataclass(frozen=True, eq=False)
class Scale:
    """A fitted scale of rows of features.

    kind: "affine" is (x − mean) / deviation, "l2" is x − mean, divided by its length.
    mean, deviation: float64 (D,), or None for 0 and 1.
    """

    kind: Literal["affine", "l2"]
    mean: np.ndarray | None = None
    deviation: np.ndarray | None = None

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return rows, float64 (N, D), scaled."""
        rows = np.asarray(rows, np.float64)
        if self.mean is not None:
            rows = rows - self.mean
        if self.deviation is not None:
            rows = rows / self.deviation
        if self.kind == "l2":
            rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY)
        return rows


def fit_scale(name: ScaleName, rows: np.ndarray) -> Scale:
    """Return the scale of a name, fitted to training rows (N, D)."""
    if name == "none":
        return Scale("affine")
    if name == "l2":
        return Scale("l2")
    mean = rows.mean(0, dtype=np.float64)
    if name == "centred-l2":
        return Scale("l2", mean)
    return Scale("affine", mean, floored(rows.std(0, dtype=np.float64)))


def floored(deviation: np.ndarray) -> np.ndarray:
    """Return deviations (D,), those below the 25th percentile raised to it; 1 where there are none.

    The percentile is of the features that vary at all: where most are constant, it is not 0.
    """
    varying = deviation[deviation > TINY]
    floor = np.percentile(varying, FLOOR) if len(varying) else 1.0
    return np.maximum(deviation, floor)
