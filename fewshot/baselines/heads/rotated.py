"""Training rows along their principal axes, and what photos that are held out tell of a head's scores."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.special import log_softmax

from fewshot.baselines.heads.unequal import doubtful

STEEPNESS = np.linspace(-2, 3, 21)  # log10 of what scores, of mean square 1, are multiplied by
MANY = 1000  # rows or features: with more than so many, axes and covariances are computed in single precision
RELATIVE = 1e-11, 1e-7  # eigenvalues below this share of the largest are rounding, in double and in single

Parts = tuple[np.ndarray, np.ndarray, np.ndarray, float | None]  # coefficients, bias, scores held out, chosen


class Rotated:
    """Training rows in the coordinates of their principal axes, with all that heads need to know of them.

    z: float64 (n, r), r ≤ n, weighted mean 0. energy: (r,), the weighted sums of their squares. precision:
    what is good enough for covariances of so many.
    y: int (n,), every class from 0 to `classes` − 1 at least once. weights: (n,), above 0, such that classes
    weigh alike, unless they are given; total: their sum. uneven: whether classes have unequal numbers of
    rows. groups: int (n,), the photo or group of near-duplicates that a row is of. folds: int (n,), which
    fold holds a row out; −1 for none.
    """

    def __init__(
        self,
        rows: np.ndarray,
        y: np.ndarray,
        groups: np.ndarray,
        folds: np.ndarray,
        weights: np.ndarray | None = None,
    ):
        self.y, self.groups, self.folds = y, groups, folds
        counts = np.bincount(y)
        self.classes = len(counts)
        self.weights = len(y) / (self.classes * counts[y]) if weights is None else weights
        self.total = len(y) if weights is None else weights.sum()
        self.uneven = len(set(counts.tolist())) > 1
        self.width = rows.shape[1]
        self._mean = self.weights @ rows / self.total
        self._centred = rows - self._mean
        root = np.sqrt(self.weights)[:, None]
        weighted = self._centred * root
        tall = len(rows) > self.width
        many = min(rows.shape) > MANY
        self.precision = precision = np.dtype(np.float32 if many else np.float64)
        if tall:
            weighted = weighted.astype(precision, copy=False)
        gram = weighted.T @ weighted if tall else weighted @ weighted.T
        energy, axes = np.linalg.eigh(gram.astype(precision, copy=False))
        real = energy > max(energy[-1] * RELATIVE[many], 1e-20)
        self.energy, axes = energy[real].astype(np.float64), axes[:, real]
        # Axes that are a little off are axes, too: only the lengths along them have to be right.
        if tall:
            self._axes = axes.astype(np.float64)
            self.z = (self._centred.astype(precision, copy=False) @ axes).astype(np.float64, copy=False)
            if many:
                self.energy = self.weights @ np.square(self.z)
        else:
            self._axes = None
            axes = axes.astype(np.float64)
            if many:
                along = gram @ axes
                self.energy = np.maximum((axes * along).sum(0), 1e-20)
            self._left = axes * root / np.sqrt(self.energy)
            self.z = (along / np.sqrt(self.energy) if many else axes * np.sqrt(self.energy)) / root

    @property
    def square(self) -> float:
        """The mean squared length of a row: what penalties count in."""
        return self.energy.sum() / self.total

    @cached_property
    def tested(self) -> np.ndarray:
        """Whether a fold holds a row out, bool (n,)."""
        return self.folds >= 0

    @cached_property
    def masks(self) -> np.ndarray:
        """Which rows each fold trains on, bool (folds, n)."""
        return self.folds != np.arange(self.folds.max() + 1)[:, None]

    @cached_property
    def photos(self) -> int:
        """How many groups the smallest class has."""
        return min(len(np.unique(self.groups[self.y == label])) for label in range(self.classes))

    def back(self, coefficients: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel (D, C) and bias on rows as they came, of those on rotated ones."""
        if self._axes is not None:
            kernel = self._axes @ coefficients
        else:
            kernel = self._centred.T @ (self._left @ coefficients)
        return kernel, bias - self._mean @ kernel

    def loss(self, scores: np.ndarray) -> float:
        """Return the mean log loss of held-out scores, (n, C), classes weighing alike."""
        right = log_softmax(scores, 1)[np.arange(len(self.y)), self.y]
        return -np.average(right[self.tested], weights=self.weights[self.tested])

    def steepness(self, scores: np.ndarray) -> float:
        """Return the factor of scores with the least log loss of held-out rows.

        Nobody is ever quite sure (Platt 1999): of k photos a class, one more of every other is imagined.
        """
        if not self.tested.any():
            return 1 / max(np.abs(scores).mean(), 1e-12)
        scores, targets, weights = self.held_out(scores)
        unit = np.sqrt(np.square(scores).mean()) or 1.0
        scores = (scores - scores.max(1, keepdims=True)) / unit
        aim = (targets * scores).sum(1) @ weights
        logs = STEEPNESS
        for _ in range(2):  # the loss is convex: coarsely, then between the neighbours of the best
            factors = 10.0**logs
            sums = np.log(np.exp(factors[:, None, None] * scores).sum(2)) @ weights
            best = logs[(sums - factors * aim).argmin()]
            logs = best + np.linspace(-0.25, 0.25, 11)
        return 10.0**best / unit

    def held_out(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return held-out scores, what they are to say, (n, C) each, and what each row counts, 1 in all."""
        scores, y = scores[self.tested], self.y[self.tested]
        weights = self.weights[self.tested] / self.weights[self.tested].sum()
        return scores, doubtful(y, self.classes, self.photos), weights


def two_sided(scores: np.ndarray) -> np.ndarray:
    """Return one column a class, of one for two classes."""
    return np.concatenate([-scores, scores], -1) / 2 if scores.shape[-1] == 1 else scores
