"""Features from patches of the training images: the method of Coates & Ng (ICML 2011), nothing trained.

Random patches are made alike in brightness and contrast, whitened (ZCA), and become the filters themselves.
An image answers with the product of each filter with all its patches, made alike and whitened too; what is
above a threshold passes (and, turned round, what is below its negative), and is averaged over the quadrants.

Filters may come with their mirror images, each pair's answers averaged over an image and its mirror image.
Then a linear classifier on the features is the one that ridge regression finds on all training images and
their mirror images, with predictions averaged over both, at no cost: it cannot tell an image from its mirror.
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from fewshot.baselines.shapes import image_shape, regions
from fewshot.errors import UsageError
from fewshot.machine import memory, room

SAMPLED = 20_000  # patches that the whitening is learnt from
CONTRAST = 10 / 255**2  # added to the variance of a patch: noise is not blown up
WHITENING = 0.1  # added to the variances in the whitening, for patches of variance 1
BLOCK = 8  # images at a time: their answers stay within tens of megabytes


class Patches(TransformerMixin, BaseEstimator):
    """From rows, square colour images in [0, 1], to features: 2 × filters × regions.

    count: filters. size: side of a patch. threshold: what an answer must exceed. pool: regions a side (2:
    quadrants). levels: divisions into regions side by side, each with one region a side more than the last
    (a pyramid, as Lazebnik, Schmid & Ponce, CVPR 2006, have it). symmetric: whether every filter comes with
    its mirror image, and features are averaged over an image and its mirror image. power: what features are
    raised to; 0.5, a root, gives weak ones a say.
    """

    def __init__(
        self,
        count=400,
        size=6,
        threshold=1.0,
        pool=2,
        levels=1,
        symmetric=False,
        power=1.0,
        random_state=None,
    ):
        self.count = count
        self.size = size
        self.threshold = threshold
        self.pool = pool
        self.levels = levels
        self.symmetric = symmetric
        self.power = power
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn the whitening from random patches; some of them become the filters."""
        X = validate_data(self, X, dtype=np.float32)
        self._shape = image_shape(X.shape[1])
        places = self._shape[0] - self.size + 1
        finest = self.pool + self.levels - 1
        if self.size < 1 or self.count < 1 or self.levels < 1 or not 1 <= self.pool <= finest <= places:
            raise UsageError(
                f"{self.count} patches of {self.size}×{self.size} pixels and {finest} regions a side "
                f"do not fit images of {self._shape[0]}×{self._shape[1]}"
            )
        shares = sum(pool**2 for pool in self.pools)
        outputs = 2 * self.count * shares
        fitting = (memory() or 0) // (16 * shares * len(X))
        room(8 * outputs * len(X), f"{self.count:,} patches on {len(X):,} images", f"{fitting:,} patches fit")
        random = check_random_state(self.random_state)
        image, row, column = (random.randint(n, size=SAMPLED) for n in (len(X), places, places))
        windows = _windows(X.reshape(-1, *self._shape), self.size)
        sampled = windows[image, row, column]
        if self.symmetric:  # half of them are mirror images: the whitening sees both sides alike
            sampled[SAMPLED // 2 :] = sampled[: SAMPLED // 2, :, ::-1]
        patches = _alike(sampled.reshape(SAMPLED, -1))
        self.mean_ = patches.mean(0)
        variances, axes = np.linalg.eigh(np.cov(patches, rowvar=False))
        self.whitening_ = (axes / np.sqrt(np.maximum(variances, 0) + WHITENING) @ axes.T).astype(np.float32)
        filters = (
            patches[random.choice(SAMPLED, self.count, self.count > SAMPLED)] - self.mean_
        ) @ self.whitening_
        if self.symmetric:
            filters = np.concatenate([filters, _mirrored(filters, self.size)])
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
        features = np.concatenate(parts)
        return features if self.power == 1 else features**self.power

    def _answers(self, images, project, shift):
        windows = _windows(images, self.size)
        count, places = len(images), windows.shape[1]
        answers = _alike(windows.reshape(count * places**2, -1)) @ project
        answers -= shift
        passed, features = np.empty_like(answers), []
        for sign in (1, -1):
            np.multiply(answers, sign, out=passed)
            passed -= self.threshold
            np.maximum(passed, 0, out=passed)
            maps = passed.reshape(count, places, places, -1)
            if self.symmetric:  # the mirror image's answers are those of mirrored filters, from right to left
                maps = (maps[..., : self.count] + maps[:, :, ::-1, self.count :]) / 2
            features += [_pooled(maps, pool).reshape(count, -1) for pool in self.pools]
        return np.concatenate(features, 1, dtype=np.float32)

    @property
    def pools(self):
        """The regions a side of each level."""
        return range(self.pool, self.pool + self.levels)

    def keras_features(self, images):
        """Return the features of symbolic images (N, side, side, 3) in [0, 1], as Keras computes them."""
        from fewshot.baselines.patches_graph import features

        check_is_fitted(self)
        return features(self, images, CONTRAST)


def _pooled(maps, pool):
    """Return the means (N, pool, pool, filters) of maps (N, places, places, filters) over regions."""
    edges = regions(maps.shape[1], pool)
    sides = np.diff(edges)
    rows = np.add.reduceat(maps, edges[:-1], axis=1)
    return np.add.reduceat(rows, edges[:-1], axis=2) / np.outer(sides, sides)[None, :, :, None]


def _windows(images, size):
    """Return a view, (N, places, places, size, size, 3), of all patches."""
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2)), 3, -1)


def _alike(patches):
    """Return patches, (N, pixels), of mean 0 and, where there is contrast, variance 1."""
    patches = patches - patches.mean(1, keepdims=True)
    return patches / np.sqrt(np.square(patches).mean(1, keepdims=True) + np.float32(CONTRAST))


def _mirrored(filters, size):
    """Return filters, (n, pixels), from left to right."""
    return filters.reshape(len(filters), size, size, -1)[:, :, ::-1].reshape(len(filters), -1)
