"""What a dataset is like, in numbers: counts, pixel statistics, mean images, and views in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from fewshot.data.dataset import Dataset
from fewshot.errors import UsageError
from fewshot.seeding import rng, stream_seed

BLOCK = 500  # images at a time: a part of any size is gone through in little memory
COMPONENTS = 50  # of the PCA; t-SNE begins with them
LEAST = 5  # images of a view


@dataclass(frozen=True)
class View:
    """Images in two dimensions. points: float (N, 2). agree: percent whose nearest point is of their class.

    explained: shares of the variance along the axes, for a PCA.
    """

    points: np.ndarray
    agree: float
    explained: tuple[float, ...] = ()


def counts(parts: Mapping[str, Dataset]) -> dict[str, dict[str, int]]:
    """Return part → class → images."""
    return {
        name: dict(zip(part.classes, np.bincount(part.y, minlength=len(part.classes)).tolist(), strict=True))
        for name, part in parts.items()
    }


def histograms(data: Dataset) -> np.ndarray:
    """Return how often each colour channel has each value, int (classes, channels, 256), by class."""
    channels = data.image_shape[2]
    counts = np.zeros((len(data.classes), channels, 256), np.int64)
    for start in range(0, len(data), BLOCK):
        x, y = np.asarray(data.x[start : start + BLOCK]), data.y[start : start + BLOCK]
        for label in np.unique(y):
            for channel in range(channels):
                counts[label, channel] += np.bincount(x[y == label, ..., channel].ravel(), minlength=256)
    return counts


def moments(histogram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of counts of values, (…, 256), in units of 255; NaN for no value."""
    values = np.arange(256) / 255
    with np.errstate(invalid="ignore"):
        share = histogram / histogram.sum(-1, keepdims=True)
    mean = (share * values).sum(-1)
    return mean, np.sqrt((share * (values - mean[..., None]) ** 2).sum(-1))


def mean_images(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean image and the standard deviation of every class, both (classes, height, width, 3).

    Values from 0 to 255; a class without images is black.
    """
    total, squares = (np.zeros((len(data.classes), *data.image_shape)) for _ in range(2))
    for start in range(0, len(data), BLOCK):
        x, y = np.asarray(data.x[start : start + BLOCK], np.float64), data.y[start : start + BLOCK]
        for label in np.unique(y):
            images = x[y == label]
            total[label] += images.sum(0)
            squares[label] += (images * images).sum(0)
    n = np.maximum(np.bincount(data.y, minlength=len(data.classes)), 1)[:, None, None, None]
    mean = total / n
    return mean, np.sqrt(np.maximum(squares / n - mean**2, 0))


def sample(labels: np.ndarray, limit: int, seed: int, stream: str) -> np.ndarray:
    """Return `limit` random positions (all, if there are no more), in order."""
    return np.sort(rng(seed, stream).permutation(len(labels))[:limit])


def views(rows: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, View]:
    """Return a PCA and a t-SNE (van der Maaten & Hinton 2008) view of rows, (N, D), by name.

    `UsageError` for fewer than five rows or for numbers that are none.
    """
    if len(rows) < LEAST:
        raise UsageError(f"a view needs {LEAST} images or more. Received: {len(rows)}")
    if not np.isfinite(rows).all():
        raise UsageError("a view needs numbers: some of these are NaN or infinite")
    with threadpool_limits(1):  # sums depend on the number of threads, and t-SNE makes much of little
        return _views(rows.astype(np.float64), labels, seed)


def _views(rows: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, View]:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    components = min(COMPONENTS, *rows.shape)
    state = stream_seed(seed, "pca") % 2**31
    pca = PCA(components, svd_solver="randomized", random_state=state)
    reduced = pca.fit_transform(rows)
    flat = np.pad(reduced, ((0, 0), (0, max(0, 2 - components))))[:, :2]  # a single component has no second
    perplexity = min(30.0, (len(rows) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=stream_seed(seed, "tsne") % 2**31)
    points = tsne.fit_transform(reduced.astype(np.float32)).astype(np.float64)
    return {
        "pca": View(flat, _agree(flat, labels), tuple(pca.explained_variance_ratio_[:2].tolist())),
        "t-sne": View(points, _agree(points, labels)),
    }


def _agree(points: np.ndarray, labels: np.ndarray) -> float:
    """Return the percent of points whose nearest other point has their label."""
    from scipy.spatial import cKDTree

    nearest = cKDTree(points).query(points, 2)[1]
    position = np.arange(len(points))
    other = np.where(nearest[:, 0] == position, nearest[:, 1], nearest[:, 0])  # points may coincide
    return float(100 * np.mean(labels[other] == labels))
