"""What the layers of online augmentation do to pixels, in `keras.ops`: pick, sample, recolour.

Images are raw (float, 0–255, (N, height, width, 3)); what differs from image to image has a row for each.
"""

from __future__ import annotations

import numpy as np

from fewshot.backend import Lazy

ops = Lazy("keras.ops")

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma, as Pillow and torchvision use it


def resample(x, matrices):
    """Sample images bilinearly at `matrices` (N, 2, 3) × (column, row, 1), measured from the centre.

    Outside the image it is reflected.
    """
    middle = np.array([(x.shape[2] - 1) / 2, (x.shape[1] - 1) / 2], np.float32)
    linear, move = matrices[:, :, :2], matrices[:, :, 2]
    move = move + middle - ops.sum(linear * middle, -1)
    rows = ops.reshape(ops.concatenate([linear, move[:, :, None]], 2), (-1, 6))
    transforms = ops.concatenate([rows, ops.zeros_like(rows[:, :2])], 1)
    return ops.image.affine_transform(x, transforms, interpolation="bilinear", fill_mode="reflect")


def recolor(x, brightness, contrast, saturation):
    """Multiply brightness, contrast (about the image's mean grey) and saturation by (N,) factors, in turn.

    Written out, the three are one sum of the image, its grey values and a constant.
    """
    wide = (-1, 1, 1, 1)
    grey = GREY[0] * x[..., 0:1] + GREY[1] * x[..., 1:2] + GREY[2] * x[..., 2:3]
    mean = ops.mean(grey, (1, 2, 3))
    kept = ops.reshape(saturation * contrast * brightness, wide)
    greyed = ops.reshape((1 - saturation) * contrast * brightness, wide)
    constant = ops.reshape((1 - contrast) * brightness * mean, wide)
    return ops.clip(kept * x + (greyed * grey + constant), 0, 255)


def rotations(radians):
    """Return the matrices (N, 2, 3) that rotate by angles (N,)."""
    cos, sin, zero = ops.cos(radians), ops.sin(radians), ops.zeros_like(radians)
    return ops.reshape(ops.stack([cos, -sin, zero, sin, cos, zero], 1), (-1, 2, 3))


def reflected(index, size):
    """Fold whole positions into 0 … size − 1 by reflection that does not repeat the border."""
    period = 2 * (size - 1)
    index = ops.mod(index, period)
    return ops.minimum(index, period - index)


def pick(x, rows, columns):
    """Return the pixels at `rows` and `columns`, which broadcast to (N, height, width)."""
    height, width, channels = x.shape[1:]
    number = ops.arange(ops.shape(x)[0])[:, None, None] * (height * width)
    return ops.take(ops.reshape(x, (-1, channels)), number + rows * width + columns, axis=0)


def boxes(x, centres, sides):
    """Return which pixels lie in rectangles, bool (N, height, width, 1).

    centres, sides: row and column as shares of the image, (N, 2).
    """
    inside = []
    for axis, size in enumerate(x.shape[1:3]):
        place = (ops.arange(size, dtype="float32") + 0.5) / size
        # Two steps: TensorFlow's optimiser drops a new axis from the slice of a stack.
        centre, side = centres[:, axis][:, None], sides[:, axis][:, None]
        inside.append(ops.abs(place[None] - centre) < side / 2)
    return inside[0][:, :, None, None] & inside[1][:, None, :, None]
