"""Features from patches of the training images: the method of Coates & Ng (ICML 2011), nothing trained.

Random patches are made alike in brightness and contrast, whitened (ZCA), and become the filters themselves.
An image answers with the product of each filter with all its patches, made alike and whitened too; what is
above a threshold passes (and, turned round, what is below its negative), and is averaged over the quadrants.
"""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from fewshot.baselines.shapes import image_shape
from fewshot.errors import UsageError
from fewshot.machine import memory, room

SAMPLED = 20_000  # patches that the whitening is learnt from
CONTRAST = 10 / 255**2  # added to the variance of a patch: noise is not blown up
WHITENING = 0.1  # added to the variances in the whitening, for patches of variance 1
BLOCK = 8  # images at a time: their answers stay within tens of megabytes


class Patches(TransformerMixin, BaseEstimator):
    """From rows, square colour images in [0, 1], to features: 2 × filters × regions.

    count: filters. size: side of a patch. threshold: what an answer must exceed. pool: regions a side (2:
    quadrants).
    """

    def __init__(self, count=400, size=6, threshold=1.0, pool=2, random_state=None):
        self.count = count
        self.size = size
        self.threshold = threshold
        self.pool = pool
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn the whitening from random patches; some of them become the filters."""
        X = validate_data(self, X, dtype=np.float32)
        self._shape = image_shape(X.shape[1])
        places = self._shape[0] - self.size + 1
        if self.size < 1 or self.count < 1 or not 1 <= self.pool <= places:
            raise UsageError(
                f"{self.count} patches of {self.size}×{self.size} pixels and {self.pool} regions a side "
                f"do not fit images of {self._shape[0]}×{self._shape[1]}"
            )
        outputs = 2 * self.count * self.pool**2
        fitting = (memory() or 0) // (16 * self.pool**2 * len(X))
        room(8 * outputs * len(X), f"{self.count:,} patches on {len(X):,} images", f"{fitting:,} patches fit")
        random = check_random_state(self.random_state)
        image, row, column = (random.randint(n, size=SAMPLED) for n in (len(X), places, places))
        windows = _windows(X.reshape(-1, *self._shape), self.size)
        patches = _alike(windows[image, row, column].reshape(SAMPLED, -1))
        self.mean_ = patches.mean(0)
        variances, axes = np.linalg.eigh(np.cov(patches, rowvar=False))
        self.whitening_ = (axes / np.sqrt(np.maximum(variances, 0) + WHITENING) @ axes.T).astype(np.float32)
        filters = (
            patches[random.choice(SAMPLED, self.count, self.count > SAMPLED)] - self.mean_
        ) @ self.whitening_
        length = np.linalg.norm(filters, axis=1, keepdims=True)
        self.filters_ = filters / np.where(length == 0, 1, length)
        return self

    def transform(self, X):
        """Return the features, float32 (N, 2 × filters × regions)."""
        check_is_fitted(self)
        images = validate_data(self, X, reset=False, dtype=np.float32).reshape(-1, *self._shape)
        project = self.whitening_ @ self.filters_.T
        shift = self.mean_ @ project
        parts = [self._answers(images[i : i + BLOCK], project, shift) for i in range(0, len(images), BLOCK)]
        return np.concatenate(parts)

    def _answers(self, images, project, shift):
        windows = _windows(images, self.size)
        count, places = len(images), windows.shape[1]
        answers = _alike(windows.reshape(count * places**2, -1)) @ project
        answers -= shift
        edges = np.linspace(0, places, self.pool + 1).round().astype(int)[:-1]
        regions = np.diff(np.append(edges, places))
        area = np.outer(regions, regions)[None, :, :, None]
        passed, features = np.empty_like(answers), []
        for sign in (1, -1):
            np.multiply(answers, sign, out=passed)
            passed -= self.threshold
            np.maximum(passed, 0, out=passed)
            pooled = np.add.reduceat(passed.reshape(count, places, places, -1), edges, axis=1)
            features.append((np.add.reduceat(pooled, edges, axis=2) / area).reshape(count, -1))
        return np.concatenate(features, 1, dtype=np.float32)


def _windows(images, size):
    """Return a view, (N, places, places, size, size, 3), of all patches."""
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2)), 3, -1)


def _alike(patches):
    """Return patches, (N, pixels), of mean 0 and, where there is contrast, variance 1."""
    patches = patches - patches.mean(1, keepdims=True)
    return patches / np.sqrt(np.square(patches).mean(1, keepdims=True) + np.float32(CONTRAST))
