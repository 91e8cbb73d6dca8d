"""k nearest neighbours and nearest class means, with four distances and five scales, for scikit-learn.

distance  "l1", "l2", "cosine" (1 − cos), or "ssim" (1 − SSIM; `fewshot.baselines.ssim`). scikit-learn
          searches for l2 and cosine. For l1 it takes ten times as long or more as `fewshot.baselines.tiles`,
          which does.
scale     "none"; "minmax", to [0, 1]; z-scores of mean 0 and variance 1, with one mean and variance for all
          pixels ("zscore-scalar"), one a colour channel ("zscore-channel") or one a pixel and channel
          ("zscore-pixel"). The statistics are those of the training rows.
window    of SSIM: "uniform" or "gaussian".

Ties are decided: neighbours at an equal distance count in the order of the training rows, and of classes with
equally many votes, or equally near, the first wins.

Rows may be of any kind, but for "zscore-channel" (three colours a pixel) and SSIM (square images of three
colours).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from fewshot.baselines import ssim, tiles
from fewshot.baselines.shapes import image_shape
from fewshot.errors import UsageError, unknown

DISTANCES = ("l1", "l2", "cosine", "ssim")
SCALERS = {  # what to fit, to how many columns
    "none": (None, 1),
    "minmax": (MinMaxScaler, 1),
    "zscore-scalar": (StandardScaler, 1),
    "zscore-channel": (StandardScaler, 3),
    "zscore-pixel": (StandardScaler, None),  # all of them
}
BLOCK = 1000  # rows at a time, for scikit-learn


class _Compares(ClassifierMixin, BaseEstimator):
    """What both estimators do before they compare."""

    def _learn(self, X, y):
        """Check and scale the training rows; return them, and the numbers of their classes."""
        for name, value, known in (
            ("distance", self.distance, DISTANCES),
            ("scale", self.scale, SCALERS),
            ("window", self.window, ssim.SIDES),
        ):
            if value not in known:
                raise unknown(name, str(value), known)
        X, y = validate_data(self, X, y, dtype=(np.float32, np.float64))
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        make, width = SCALERS[self.scale]
        if width == 3 and X.shape[1] % 3:
            raise UsageError(f"zscore-channel needs three colours a pixel. Received: rows of {X.shape[1]}")
        self._width = width or X.shape[1]
        self._scaler = make and make()
        if make:
            for start in range(0, len(X), BLOCK):
                self._scaler.partial_fit(X[start : start + BLOCK].reshape(-1, self._width))
        X = self._scaled(X)
        self._kernel, self._unit = None, 1.0
        if self.distance == "l1":
            self._kernel = tiles.L1()
        elif self.distance == "ssim":
            self._kernel = ssim.kernel(image_shape(X.shape[1]), self.window)
            if self.scale.startswith("zscore"):  # from [0, 1] to a range of its own
                self._unit = float(np.ptp(X)) or 1.0
        return X, labels

    def _checked(self, X):
        """Return new rows, checked and scaled."""
        check_is_fitted(self)
        return self._scaled(validate_data(self, X, reset=False, dtype=(np.float32, np.float64)))

    def _scaled(self, X):
        if not self._scaler:
            return X
        scaled = np.empty_like(X)
        for start in range(0, len(X), BLOCK):
            rows = X[start : start + BLOCK]
            scaled[start : start + BLOCK] = self._scaler.transform(rows.reshape(-1, self._width)).reshape(
                rows.shape
            )
        return scaled


class Neighbours(_Compares):
    """The k nearest training rows vote, each vote alike.

    distance, scale, window: see the module. progress: is told how many pairs more are done (`tqdm.update`).

    Raises `ValueError` for k outside 1 … the number of training rows and for NaN, `UsageError` for unknown
    names and rows that are no images where those are needed.
    """

    def __init__(self, k=1, distance="l2", scale="none", window="uniform", progress=None):
        self.k = k
        self.distance = distance
        self.scale = scale
        self.window = window
        self.progress = progress

    def fit(self, X, y):
        """Keep the rows, scaled."""
        rows, self._labels = self._learn(X, y)
        if not 1 <= self.k <= len(rows):
            raise ValueError(
                f"k must be from 1 to the number of training images (n_samples = {len(rows)}). "
                f"Received: {self.k}"
            )
        if self.distance == "cosine":
            rows = _directions(rows)
        self._rows = rows / np.float32(self._unit) if self._unit != 1 else rows
        if not self._kernel:
            self._search = NearestNeighbors(algorithm="brute").fit(self._rows)
        return self

    def kneighbors(self, X, k=None):
        """Return distances and positions of the k nearest training rows, both (len(X), k), nearest first."""
        k, rows, done = k or self.k, self._checked(X), self.progress or (lambda pairs: None)
        if self._kernel:
            return tiles.nearest(self._kernel, rows / np.float32(self._unit), self._rows, k, done)
        blocks = []
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            blocks.append(self._block(_directions(block) if self.distance == "cosine" else block, k))
            done(len(block) * len(self._rows))
        distances, positions = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        return (distances**2 / 2 if self.distance == "cosine" else distances), positions

    def _block(self, rows, k):
        """Return what scikit-learn finds, put in order where distances are equal."""
        count = min(k + 1, len(self._rows))  # one more shows where the last has an equal that was left out
        distances, positions = self._search.kneighbors(rows, count)
        order = np.lexsort((positions, distances))
        distances, positions = (np.take_along_axis(values, order, 1) for values in (distances, positions))
        if count > k:
            tied = np.flatnonzero(distances[:, k - 1] == distances[:, k])
            for start in range(0, len(tied), 100):
                some = tied[start : start + 100]
                whole = pairwise_distances(rows[some], self._rows)
                distances[some, :k], positions[some, :k] = tiles.smallest(whole, k)
        return distances[:, :k], positions[:, :k]

    def vote(self, positions):
        """Return the shares of votes, (N, classes), of neighbours: positions, (N, k), of training rows."""
        votes = self._labels[positions][:, :, None] == np.arange(len(self.classes_))
        return votes.mean(1)

    def predict_proba(self, X):
        """Return the shares of votes, (N, classes)."""
        return self.vote(self.kneighbors(X)[1])

    def predict(self, X):
        """Return the class with the most votes, of equals the first."""
        winners = self.predict_proba(X).argmax(1)
        return self.classes_[winners]


class Centroids(_Compares):
    """The class whose mean of training rows is nearest.

    distance, scale, window: see the module. Raises as `Neighbours`.
    """

    def __init__(self, distance="l2", scale="none", window="uniform"):
        self.distance = distance
        self.scale = scale
        self.window = window

    def fit(self, X, y):
        """Average the rows of each class, scaled."""
        rows, labels = self._learn(X, y)
        rows, labels = rows[np.argsort(labels, kind="stable")], np.sort(labels)
        ends = np.searchsorted(labels, np.arange(len(self.classes_) + 1))
        self.centroids_ = np.stack([rows[a:b].mean(0, dtype=np.float64) for a, b in pairwise(ends)])
        return self

    def distances(self, X):
        """Return the distances, (N, classes), to the class means."""
        rows = self._checked(X)
        if self._kernel:
            return tiles.table(self._kernel, rows / np.float32(self._unit), self.centroids_ / self._unit)
        if self.distance == "cosine":
            return pairwise_distances(_directions(rows), _directions(self.centroids_)) ** 2 / 2
        return pairwise_distances(rows, self.centroids_)

    def predict_proba(self, X):
        """Return the softmax of the negative distances, (N, classes): an order, no certainty."""
        distances = self.distances(X)
        shares = np.exp(distances.min(1, keepdims=True) - distances)
        return shares / shares.sum(1, keepdims=True)

    def predict(self, X):
        """Return the nearest class, of equals the first."""
        winners = self.distances(X).argmin(1)
        return self.classes_[winners]


def _directions(rows):
    """Return rows of length 1, whose squared distances are twice the cosine distances.

    A black image (all 0) has no direction and gets one of its own, in a further column: it is at the cosine
    distance 1 from all others.
    """
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    black = length == 0
    directions = np.empty((len(rows), rows.shape[1] + 1), rows.dtype)
    directions[:, :-1] = rows / np.where(black, 1, length)
    directions[:, -1:] = black
    return directions
