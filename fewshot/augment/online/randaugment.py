"""RandAugment: random operations of one strength, fused."""

from __future__ import annotations

import math

from fewshot.augment.online import Online, ops, policies
from fewshot.augment.pixels import recolor, resample, rotations


class RandAugment(Online):
    """Random operations of one strength: RandAugment, fused.

    Each image draws its operations among identity, rotation, two shears, two translations, brightness,
    contrast, saturation, posterise, solarise, invert and autocontrast. Those that move pixels are combined
    into one matrix and sampled once; then come the colours. (The paper applies them in the order drawn;
    it has equalise and sharpness, and no inversion.)
    """

    KINDS = 13

    def __init__(self, operations: int, magnitude: float):
        super().__init__()
        self.operations, self.magnitude = operations, magnitude

    def sample(self, n, shape):
        """Return how often each image drew each operation (N, 13), and a sign for each of them (N, 13)."""
        kinds = ops.cast(ops.floor(self.uniform((n, self.operations), 0, self.KINDS)), "int32")
        drawn = ops.sum(ops.one_hot(kinds, self.KINDS), 1)
        return drawn, ops.where(self.uniform((n, self.KINDS)) < 0.5, -1.0, 1.0)

    def apply(self, x, y, drawn, signs):
        """Apply the operations."""
        amount = drawn * signs * self.magnitude
        rotation = rotations(amount[:, 1] * math.radians(30))
        zero, one = ops.zeros_like(amount[:, 0]), ops.ones_like(amount[:, 0])
        shear = ops.stack([one, amount[:, 2] * 0.3, zero, amount[:, 3] * 0.3, one, zero], 1)
        shear = ops.reshape(shear, (-1, 2, 3))
        linear = ops.matmul(rotation[:, :, :2], shear[:, :, :2])
        move = ops.stack([amount[:, 4] * 0.45 * x.shape[2], amount[:, 5] * 0.45 * x.shape[1]], 1)
        x = resample(x, ops.concatenate([linear, move[:, :, None]], 2))
        x = recolor(x, *(1 + 0.9 * amount[:, kind] for kind in (6, 7, 8)))
        wide = (-1, 1, 1, 1)
        was = [ops.reshape(drawn[:, kind] > 0, wide) for kind in range(self.KINDS)]
        step = 2.0 ** round(4 * self.magnitude)
        x = ops.where(was[9], ops.floor(x / step) * step, x)
        inverted = 255 - x
        x = ops.where(was[11] | (was[10] & (x > 255 * (1 - self.magnitude))), inverted, x)
        low, high = ops.min(x, (1, 2), keepdims=True), ops.max(x, (1, 2), keepdims=True)
        return ops.where(was[12], (x - low) * (255 / ops.maximum(high - low, 1)), x), y


@policies.register("randaugment")
def randaugment():
    """Two random operations of thirteen an image, magnitude 9 of 30 (Cubuk et al., arXiv 1909.13719)."""
    return [RandAugment(operations=2, magnitude=0.3)]
