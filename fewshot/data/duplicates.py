"""Near-duplicates: images of one scene, saved twice, cropped a little or compressed anew.

One of them in training and another held out make a method look better than it is. Images are compared as
thumbnails of 16×16 colours: near-duplicates correlate almost perfectly, and differ little in brightness. So
do two photos of the open sky; therefore what a blur takes away must correlate, too, in up to 32×32 cells.

Of CIFAR-10's 50,000 training images the first check alone finds 342 pairs, about 20 of which are different
scenes (blue skies, ships on the horizon: looked at); both checks find 320, of which about 4 are, and lose 6
of one scene. Among 2,000 simulated textiles neither finds any.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fewshot.data.dataset import Dataset
from fewshot.seeding import rng

VERSION = 2  # raise it when other pairs are found
SIDE = 16
CORRELATION = 0.95
DIFFERENCE = 20.0  # mean absolute, of 255
DETAIL_SIDE = 32  # cells of the second check
DETAIL_CORRELATION = 0.6, 0.95  # the least, and the most that is asked for, however alike all images are
SAMPLED = 2000  # pairs that tell how alike any two images are
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
    if len(x) < 2:
        return
    colours = _thumbnails(x, SIDE)
    details = _Details(x)
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
                pair = pair[:, np.abs(colours[pair[0]] - colours[pair[1]]).mean(1) < DIFFERENCE]
                if not pair.size:
                    continue
                pair = order[pair]
                pair = pair[:, details.correlation(*pair) > details.least]
                if pair.size:
                    yield np.sort(pair, axis=0)


class _Details:
    """What a blur takes away from the images, in grey; `least` is what near-duplicates correlate by.

    Where any two images resemble each other, as radiographs do, half of what is missing between two of them
    and a perfect correlation must be there, too.
    """

    def __init__(self, x: np.ndarray):
        from scipy.ndimage import uniform_filter

        height, width = (side // _step(side, DETAIL_SIDE) for side in x.shape[1:3])
        self.reach = min(height, width) // 16  # how far one image may be shifted, in cells
        window = 2 * max(1, self.reach) + 1
        self.cells = np.empty((len(x), height, width), np.float16)
        for start in range(0, len(x), PART):
            part = _thumbnails(x[start : start + PART], DETAIL_SIDE)
            grey = part.reshape(len(part), height, width, -1).mean(-1)
            blurred = uniform_filter(grey, (0, window, window), mode="nearest")
            self.cells[start : start + PART] = grey - blurred
        prng = rng(0, "near-duplicates")
        first = prng.integers(0, len(x), SAMPLED)
        second = (first + prng.integers(1, len(x), SAMPLED)) % len(x)
        usual = float(np.median(self.correlation(first, second)))
        self.least = float(np.clip((1 + usual) / 2, *DETAIL_CORRELATION))

    def correlation(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the correlation of each pair, the second shifted to where it is largest."""
        reach = self.reach
        height, width = (side - 2 * reach for side in self.cells.shape[1:])
        one, other = (self.cells[index].astype(np.float32) for index in (first, second))
        centre = one[:, reach : reach + height, reach : reach + width].reshape(len(one), height * width)
        largest = np.full(len(one), -1.0, np.float32)
        for top in range(2 * reach + 1):
            for left in range(2 * reach + 1):
                shifted = other[:, top : top + height, left : left + width].reshape(centre.shape)
                product = np.einsum("ij,ij->i", centre, shifted)
                squares = (np.einsum("ij,ij->i", image, image) for image in (centre, shifted))
                largest = np.maximum(largest, product / np.maximum(np.sqrt(np.multiply(*squares)), 1e-6))
        return largest


def _step(length: int, side: int) -> int:
    """Return how many pixels of a side go into a cell, where there are to be `side` cells or little more."""
    return max(1, length // side)


def _thumbnails(x: np.ndarray, side: int) -> np.ndarray:
    """Return float32 rows of about side × side × 3 mean colours (of smaller images, all their pixels)."""
    n, height, width, channels = x.shape
    down, across = _step(height, side), _step(width, side)
    rows, columns = height // down, width // across
    small = np.empty((n, rows * columns * channels), np.float32)
    for start in range(0, n, PART):
        part = np.asarray(x[start : start + PART, : rows * down, : columns * across], np.float32)
        cells = part.reshape(len(part), rows, down, columns, across, channels)
        small[start : start + PART] = cells.mean((2, 4)).reshape(len(part), -1)
    return small
