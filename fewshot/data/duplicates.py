"""Near-duplicates: images of one scene, saved twice, cropped a little or compressed anew.

One of them in training and another held out make a method look better than it is. Images are compared as
thumbnails of 16×16 colours: near-duplicates correlate almost perfectly, and differ little in brightness.
"""

import numpy as np

from fewshot.data.dataset import Dataset

SIDE = 16
CORRELATION = 0.95
DIFFERENCE = 20.0  # mean absolute, of 255
TILE = 2000  # images compared at once: 2000 × 2000 correlations take 16 MB


def groups(dataset: Dataset) -> np.ndarray:
    """Return a group number for every image, int (N,): near-duplicates, and theirs in turn, share one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    first, second = pairs(dataset)
    n = len(dataset)
    joined = coo_matrix((np.ones(len(first), bool), (first, second)), shape=(n, n))
    return connected_components(joined, directed=False)[1]


def repeated(dataset: Dataset) -> list[np.ndarray]:
    """Return the groups of two images or more, each as positions."""
    number = groups(dataset)
    return [np.flatnonzero(number == group) for group in np.flatnonzero(np.bincount(number) > 1)]


def pairs(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of all pairs of near-duplicates, the first of each before the second."""
    colours = _thumbnails(dataset.x)
    rows = colours - colours.mean(1, keepdims=True)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    found = []
    for top in range(0, len(rows), TILE):
        for left in range(top, len(rows), TILE):
            close = rows[top : top + TILE] @ rows[left : left + TILE].T > CORRELATION
            i, j = np.nonzero(np.triu(close, 1) if top == left else close)
            found.append(np.stack([i + top, j + left]))
    i, j = np.concatenate(found, 1)
    near = np.abs(colours[i] - colours[j]).mean(1) < DIFFERENCE
    return i[near], j[near]


def _thumbnails(x: np.ndarray) -> np.ndarray:
    """Return float32 rows of SIDE × SIDE × 3 mean colours (of smaller images, all their pixels)."""
    n, height, width, channels = x.shape
    down, across = max(1, height // SIDE), max(1, width // SIDE)
    rows, columns = height // down, width // across
    small = np.empty((n, rows * columns * channels), np.float32)
    for start in range(0, n, TILE):
        part = np.asarray(x[start : start + TILE, : rows * down, : columns * across], np.float32)
        cells = part.reshape(len(part), rows, down, columns, across, channels)
        small[start : start + TILE] = cells.mean((2, 4)).reshape(len(part), -1)
    return small
