"""Layers that shuffle inside the image."""

from __future__ import annotations

import numpy as np

from fewshot.augment.online import Online, ops, policies
from fewshot.augment.pixels import pick


class PatchShuffle(Online):
    """Shuffle the pixels inside every patch×patch square of a `share` of the images."""

    def __init__(self, patch: int, share: float):
        super().__init__()
        self.patch, self.share = patch, share

    def sample(self, n, shape):
        """Return which images are shuffled (N,) and the order of the pixels of each patch."""
        grid = (n, shape[0] // self.patch, shape[1] // self.patch, self.patch**2)
        return self.uniform((n,)) < self.share, ops.argsort(self.uniform(grid), axis=-1)

    def apply(self, x, y, moved, order):
        """Shuffle; rows and columns beyond the last whole patch stay."""
        size, (height, width) = self.patch, (side // self.patch * self.patch for side in x.shape[1:3])
        row, column = np.indices((height, width))
        inner = row % size * size + column % size
        patch = row // size * (width // size) + column // size
        source = ops.take(ops.reshape(order, (-1, height * width)), patch * size**2 + inner, axis=1)
        top, left = row - row % size, column - column % size
        shuffled = pick(x, top + source // size, left + source % size)
        shuffled = ops.concatenate([shuffled, x[:, height:, :width]], 1)
        shuffled = ops.concatenate([shuffled, x[:, :, width:]], 2)
        return ops.where(moved[:, None, None, None], shuffled, x), y


@policies.register("patchshuffle")
def patchshuffle():
    """Shuffle the pixels inside every 2×2 patch of one image in twenty (arXiv 1707.07103)."""
    return [PatchShuffle(patch=2, share=0.05)]
