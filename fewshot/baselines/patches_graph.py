"""The patch features as a part of a Keras model: what `Patches.transform` does, for saved models.

A patch that is made alike and multiplied by a filter is a convolution, less the patch's mean and divided by
its deviation: both are averages over the patch, and the mean is taken out of the filter.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import layers, ops

from fewshot.baselines.shapes import regions

if TYPE_CHECKING:
    from fewshot.baselines.patches import Patches

MIDDLE = 0.5  # taken off pixels in [0, 1]: deviations are differences of squares, which are smaller then


def features(fitted: Patches, images: Any, contrast: float) -> Any:
    """Return the features (N, 2 × filters × regions) of symbolic images (N, side, side, 3) in [0, 1]."""
    images = images - MIDDLE
    size, answers = fitted.size, fitted.filters_.shape[0]
    projection = fitted.whitening_ @ fitted.filters_.T
    kernel = (projection - projection.mean(0)).reshape(size, size, 3, answers)
    products = layers.Conv2D(answers, size, use_bias=False, name="patches")
    deviations = ops.sqrt(ops.relu(_variance(images, size)) + contrast)
    maps = products(images) / deviations - np.asarray(fitted.mean_ @ projection, np.float32)
    products.set_weights([kernel.astype(np.float32)])
    parts = [
        part for sign in (1.0, -1.0) for part in _pooled(fitted, ops.relu(sign * maps - fitted.threshold))
    ]
    joined = layers.Concatenate()(parts)
    return joined if fitted.power == 1 else ops.power(joined, fitted.power)


def _variance(images: Any, size: int) -> Any:
    """Return the variances (N, places, places, 1) of patches of raw pixels."""
    mean = layers.AveragePooling2D(size, strides=1)
    squares = mean(ops.mean(ops.square(images), axis=3, keepdims=True))
    return squares - ops.square(mean(ops.mean(images, axis=3, keepdims=True)))


def _pooled(fitted: Patches, maps: Any) -> list[Any]:
    """Return the means of maps (N, places, places, answers) in each region, (N, filters) each."""
    count, means = fitted.count, []
    if fitted.symmetric:
        maps = (maps[..., :count] + ops.flip(maps[..., count:], axis=2)) / 2.0
    for pool in fitted.pools:
        edges = regions(maps.shape[1], pool).tolist()
        spans = list(itertools.pairwise(edges))
        means += [ops.mean(maps[:, a:b, c:d], axis=(1, 2)) for a, b in spans for c, d in spans]
    return means
