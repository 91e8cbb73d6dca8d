"""TrivialAugment: one random operation of a random strength."""

from __future__ import annotations

import math

from fewshot.augment.online import Online, ops, policies
from fewshot.augment.pixels import recolor, resample, rotations

WIDE = (-1, 1, 1, 1)
LEVELS = 31  # strengths, of which 0 does nothing
# The operations, by the number that is drawn.
(
    IDENTITY,
    SHEAR_X,
    SHEAR_Y,
    TRANSLATE_X,
    TRANSLATE_Y,
    ROTATE,
    BRIGHTNESS,
    SATURATION,
    CONTRAST,
    SHARPNESS,
    POSTERISE,
    SOLARISE,
    AUTOCONTRAST,
    EQUALISE,
) = range(14)
KINDS = 14
SHEAR, DEGREES, FACTOR, BITS = 0.99, 135, 0.99, 6  # at the greatest strength: the paper's wide space
SMOOTH = ((1 / 13, 1 / 13, 1 / 13), (1 / 13, 5 / 13, 1 / 13), (1 / 13, 1 / 13, 1 / 13))  # Pillow's filter


@policies.register("trivialaugment")
class TrivialAugment(Online):
    """One random operation of fourteen an image, of a random strength (Müller and Hutter, arXiv 2103.10158).

    The paper's wide space: identity, two shears, two translations, rotation, brightness, saturation,
    contrast, sharpness, posterise, solarise, autocontrast and equalise; translations by up to the whole
    side, as its 32 pixels are for CIFAR. Where it fills what moves in with black, here it is reflected.
    """

    def sample(self, n, shape):
        """Return the operation of each image, int (N,), and its strength from −1 to 1 (N,)."""
        kind = ops.cast(ops.floor(self.uniform((n,), 0, KINDS)), "int32")
        strength = ops.floor(self.uniform((n,), 0, LEVELS)) / (LEVELS - 1)
        return kind, ops.where(self.uniform((n,)) < 0.5, -strength, strength)

    def apply(self, x, y, kind, strength):
        """Apply the operations: those that move pixels as one matrix, the colours as one sum."""

        def amount(which):
            return ops.where(kind == which, strength, 0.0)

        def drawn(which):
            return ops.reshape(kind == which, WIDE)

        x = resample(x, self._matrices(amount, x.shape))
        x = recolor(x, *(1 + FACTOR * amount(which) for which in (BRIGHTNESS, CONTRAST, SATURATION)))
        sharpened = _smooth(x)
        sharpened = sharpened + (1 + FACTOR * ops.reshape(amount(SHARPNESS), WIDE)) * (x - sharpened)
        x = ops.where(drawn(SHARPNESS), ops.clip(sharpened, 0, 255), x)
        size = ops.reshape(ops.abs(strength), WIDE)
        step = 2.0 ** ops.round(BITS * size)
        x = ops.where(drawn(POSTERISE), ops.floor(x / step) * step, x)
        x = ops.where(drawn(SOLARISE) & (x >= 255 * (1 - size)) & (size > 0), 255 - x, x)
        low, high = ops.min(x, (1, 2), keepdims=True), ops.max(x, (1, 2), keepdims=True)
        x = ops.where(drawn(AUTOCONTRAST), (x - low) * (255 / ops.maximum(high - low, 1)), x)
        return ops.where(drawn(EQUALISE), _equalise(x), x), y

    def _matrices(self, amount, shape):
        """Return the matrices (N, 2, 3) of the operations that move pixels."""
        rotation = rotations(amount(ROTATE) * math.radians(DEGREES))
        zero, one = ops.zeros_like(amount(ROTATE)), ops.ones_like(amount(ROTATE))
        shear = ops.stack([one, SHEAR * amount(SHEAR_X), zero, SHEAR * amount(SHEAR_Y), one, zero], 1)
        linear = ops.matmul(rotation[:, :, :2], ops.reshape(shear, (-1, 2, 3))[:, :, :2])
        move = ops.stack([amount(TRANSLATE_X) * shape[2], amount(TRANSLATE_Y) * shape[1]], 1)
        return ops.concatenate([linear, move[:, :, None]], 2)


def _smooth(x):
    """Return the images smoothed but for their outermost pixels, as Pillow does."""
    height, width = x.shape[1:3]
    if min(height, width) < 3:
        return x
    inner = sum(
        SMOOTH[row][column] * x[:, row : height - 2 + row, column : width - 2 + column]
        for row in range(3)
        for column in range(3)
    )
    middle = ops.concatenate([x[:, 1:-1, :1], inner, x[:, 1:-1, -1:]], 2)
    return ops.concatenate([x[:, :1], middle, x[:, -1:]], 1)


def _equalise(x):
    """Return the images with an even histogram of each channel, as Pillow does; values are rounded down."""
    height, width, channels = x.shape[1:]
    values = ops.cast(ops.clip(x, 0, 255), "int32")
    rows = ops.reshape(ops.transpose(values, (0, 3, 1, 2)), (-1, height * width))  # an image's channel each
    number = ops.arange(ops.shape(rows)[0])[:, None] * 256
    counts = ops.segment_sum(
        ops.ones_like(ops.reshape(rows, (-1,))),
        ops.reshape(rows + number, (-1,)),
        num_segments=256 * ops.shape(rows)[0],
    )
    counts = ops.reshape(counts, (-1, 256))
    last = ops.take_along_axis(counts, ops.max(rows, 1, keepdims=True), 1)
    step = (height * width - last) // 255
    below = ops.cumsum(counts, 1) - counts
    table = ops.minimum((below + step // 2) // ops.maximum(step, 1), 255)
    equal = ops.where(step > 0, ops.take_along_axis(table, rows, 1), rows)
    equal = ops.reshape(ops.cast(equal, x.dtype), (-1, channels, height, width))
    return ops.transpose(equal, (0, 2, 3, 1))
