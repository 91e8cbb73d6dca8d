"""Layers that move pixels: mirror, shift, rotate."""

from __future__ import annotations

import math

from fewshot.augment.online import Online, ops, policies
from fewshot.augment.pixels import pick, reflected, resample, rotations


@policies.register("flip")
class Flip(Online):
    """Mirror half of the images left to right."""

    def sample(self, n, shape):
        """Return which images are mirrored, bool (N,)."""
        return (self.uniform((n,)) < 0.5,)

    def apply(self, x, y, mirrored):
        """Mirror those images."""
        height, width = x.shape[1:3]
        columns = ops.arange(width)
        columns = ops.where(mirrored[:, None], columns[::-1], columns)
        return pick(x, ops.arange(height)[None, :, None], columns[:, None, :]), y


@policies.register("flip-in-turn")
class FlipInTurn(Flip):
    """Mirror a random half left to right, in the next epoch the other half (arXiv 2404.00498)."""

    in_turn = True


class Shift(Online):
    """Shift each image by whole pixels, at most `pixels` each way, reflecting at the border.

    The same as padding by reflection and cropping at random.
    """

    def __init__(self, pixels: int):
        super().__init__()
        self.pixels = pixels

    def sample(self, n, shape):
        """Return the shifts down and right, int (N, 2)."""
        return (ops.cast(ops.floor(self.uniform((n, 2), -self.pixels, self.pixels + 1)), "int32"),)

    def apply(self, x, y, shifts):
        """Shift the images."""
        height, width = x.shape[1:3]
        rows = reflected(ops.arange(height)[None] - shifts[:, :1], height)
        columns = reflected(ops.arange(width)[None] - shifts[:, 1:], width)
        return pick(x, rows[:, :, None], columns[:, None, :]), y


@policies.register("shift-crop")
def shift_crop():
    """Shift by up to 4 pixels each way, reflecting at the border."""
    return [Shift(4)]


@policies.register("shift-crop-2")
def shift_crop_2():
    """Shift by up to 2 pixels each way, reflecting at the border."""
    return [Shift(2)]


class Affine(Online):
    """Rotate, shear, scale or move each image by a matrix, bilinear, reflecting at the border."""

    def __init__(self, degrees: float):
        super().__init__()
        self.radians = math.radians(degrees)

    def sample(self, n, shape):
        """Return a matrix from output to input coordinates for each image, (N, 2, 3)."""
        return (rotations(self.uniform((n,), -self.radians, self.radians)),)

    def apply(self, x, y, matrices):
        """Resample the images."""
        return resample(x, matrices), y


@policies.register("rotation")
def rotation():
    """Rotate by up to 15°, bilinear, reflecting at the border."""
    return [Affine(degrees=15)]
