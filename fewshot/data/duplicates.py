"""Near-duplicates: images of one scene, saved twice, cropped a little or compressed anew.

One of them in training and another held out make a method look better than it is. Images are compared as
thumbnails of 16×16 colours: near-duplicates correlate almost perfectly, and differ little in brightness.
"""

from collections.abc import Iterator

import numpy as np

from fewshot.data.dataset import Dataset

SIDE = 16
CORRELATION = 0.95
DIFFERENCE = 20.0  # mean absolute, of 255
TILE = 2000  # images compared at once: 2000 × 2000 correlations take 16 MB; and pairs, 6 MB
PART = 100  # images shrunk at once: as floats, those of 224×224 take 60 MB


def groups(dataset: Dataset) -> np.ndarray:
    """Return a group number for every image, int (N,): near-duplicates, and theirs in turn, share one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(dataset)
    number = np.arange(n)
    for first, second in _near(dataset.x, number):  # as they are found: pairs of many alike fill the memory
        joined = coo_matrix((np.ones(len(first), bool), (number[first], number[second])), shape=(n, n))
        number[:] = connected_components(joined, directed=False)[1][number]
    return number


def repeated(number: np.ndarray) -> list[np.ndarray]:
    """Return the groups of two images or more, each as positions. number: what `groups` returned."""
    return [np.flatnonzero(number == group) for group in np.flatnonzero(np.bincount(number) > 1)]


def pairs(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of all pairs of near-duplicates, the first of each before the second, in order."""
    first, second = np.concatenate([np.zeros((2, 0), int), *_near(dataset.x)], 1)
    order = np.lexsort((second, first))
    return first[order], second[order]


def _near(x: np.ndarray, number: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yield the positions of pairs of near-duplicates, (2, pairs), tile by tile.

    number: group numbers, which may change meanwhile; pairs of one group are left out.
    """
    colours = _thumbnails(x)
    # From dark to light: whose means differ by more than DIFFERENCE need not be compared.
    order = np.argsort(colours.mean(1), kind="stable")
    colours = colours[order]
    light = colours.mean(1)
    rows = colours - light[:, None]
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    for top in range(0, len(rows), TILE):
        tile = rows[top : top + TILE]
        end = np.searchsorted(light, light[top : top + TILE][-1] + DIFFERENCE, "right")
        for left in range(top, end, TILE):
            close = tile @ rows[left : min(left + TILE, end)].T > CORRELATION
            pairs = np.argwhere(np.triu(close, 1) if top == left else close) + np.array((top, left))
            for start in range(0, len(pairs), TILE):
                pair = pairs[start : start + TILE].T
                if number is not None:
                    pair = pair[:, number[order[pair[0]]] != number[order[pair[1]]]]
                near = np.abs(colours[pair[0]] - colours[pair[1]]).mean(1) < DIFFERENCE
                if near.any():
                    yield np.sort(order[pair[:, near]], axis=0)


def _thumbnails(x: np.ndarray) -> np.ndarray:
    """Return float32 rows of SIDE × SIDE × 3 mean colours (of smaller images, all their pixels)."""
    n, height, width, channels = x.shape
    down, across = max(1, height // SIDE), max(1, width // SIDE)
    rows, columns = height // down, width // across
    small = np.empty((n, rows * columns * channels), np.float32)
    for start in range(0, n, PART):
        part = np.asarray(x[start : start + PART, : rows * down, : columns * across], np.float32)
        cells = part.reshape(len(part), rows, down, columns, across, channels)
        small[start : start + PART] = cells.mean((2, 4)).reshape(len(part), -1)
    return small
