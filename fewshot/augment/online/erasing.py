"""Layers that hide a part of the image."""

from __future__ import annotations

import math

from fewshot.augment.online import Online, ops, policies
from fewshot.augment.pixels import boxes

FILL = 127.5  # mid-grey: about zero after normalisation


class Cutout(Online):
    """Grey out a square of `side` times the image's side; its centre may lie anywhere in the image."""

    def __init__(self, side: float):
        super().__init__()
        self.side = side

    def sample(self, n, shape):
        """Return each square's centre, row and column as shares of the image, (N, 2)."""
        return (self.uniform((n, 2)),)

    def apply(self, x, y, centres):
        """Fill the squares."""
        inside = boxes(x, centres, ops.full_like(centres, self.side))
        return ops.where(inside, FILL, x), y


@policies.register("cutout")
def cutout():
    """Grey out one square of half the image's side (DeVries and Taylor, arXiv 1708.04552)."""
    return [Cutout(0.5)]


@policies.register("erasing")
class Erasing(Online):
    """Fill a random rectangle of half the images with noise (Zhong et al., arXiv 1708.04896).

    It has 2–33 % of the area and an aspect of 0.3–3.3. Its centre lies anywhere, so that the border may cut
    it off (the paper draws again until it fits).
    """

    def sample(self, n, shape):
        """Return centres (N, 2), sides (N, 2) (0 where nothing is erased) and the noise, like the images."""
        area = self.uniform((n,), 0.02, 0.33)
        aspect = ops.exp(self.uniform((n,), math.log(0.3), math.log(3.3)))
        sides = ops.stack([ops.sqrt(area * aspect), ops.sqrt(area / aspect)], 1)
        erased = ops.cast(self.uniform((n, 1)) < 0.5, "float32")
        noise = self.uniform((1, *shape), 0, 255)  # one field of noise: rectangles cut it elsewhere
        return self.uniform((n, 2)), sides * erased, noise

    def apply(self, x, y, centres, sides, noise):
        """Fill the rectangles."""
        return ops.where(boxes(x, centres, sides), noise, x), y
