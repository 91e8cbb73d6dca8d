"""Layers for images: standardisation, convolution, pooling. Batches are (N, height, width, channels).

A convolution is a matrix product: each output pixel is the product of the patch of inputs around it, laid
out as a row ("im2col"), with the kernels as columns. All patches at once would be nine times the images,
gigabytes for a batch; so the rows of a few images at a time are written, into the same small array, which
the processor's cache holds. In this layout of the images each line of a patch is one piece of memory.
Nine products of shifted images, added up, were measured to be as fast at best, and are no simpler.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fewshot.baselines.numpy_net.layers import Init, Layer, initial
from fewshot.errors import UsageError

PATCHES_BYTES = 2 << 20  # of patches at a time: more leaves the cache and takes up to twice the time
OBSERVED = 1000  # images whose statistics are taken at a time


class Standardise(Layer):
    """Each channel minus its mean, divided by its standard deviation, over the training images."""

    def build(self, shape, streams, dtype):
        self._shape, self._dtype = shape, dtype
        self._set(mean=np.zeros(shape[-1]), deviation=np.ones(shape[-1]))
        return shape

    def observe(self, images: np.ndarray) -> None:
        """Take mean and deviation from images; `UsageError` for pixels that are no numbers."""
        total = squares = 0.0
        for start in range(0, len(images), OBSERVED):  # never all of them as floats
            x = images[start : start + OBSERVED].astype(np.float64)
            total, squares = total + x.sum((0, 1, 2)), squares + (x * x).sum((0, 1, 2))
        count = images[..., 0].size
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean * mean, 0))
        if not np.isfinite(deviation).all():
            raise UsageError("the images have pixels that are no numbers (NaN or infinite): mend them first")
        constant = deviation <= 1e-6 * (1 + abs(mean))  # but for rounding: one colour all over
        self._set(mean, np.where(constant, 1, deviation))

    def _set(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        # A value a pixel, not a channel: NumPy would go through the images three numbers at a time.
        pixels = self._shape[0] * self._shape[1]
        self._scale = np.tile(1 / deviation, pixels).astype(self._dtype)
        self._offset = np.tile(-mean / deviation, pixels).astype(self._dtype)

    def forward(self, x, training=False):
        rows = x.reshape(len(x), -1).astype(self._dtype)
        rows *= self._scale
        rows += self._offset
        return rows.reshape(x.shape)

    def backward(self, gradient, wanted=True):
        return gradient * self._scale.reshape(self._shape)


class Convolution(Layer):
    """Square kernels of an odd size, stride 1, as many zeros around as keep height and width.

    The weights are (size, size, channels, filters).
    """

    def __init__(self, filters: int, size: int = 3, init: Init = "he"):
        self.filters, self.size, self.init = filters, size, init

    def build(self, shape, streams, dtype):
        *sides, channels = shape
        weights = initial(
            self.init,
            self.size**2 * channels,
            self.size**2 * self.filters,
            (self.size, self.size, channels, self.filters),
            streams["init"],
        )
        self.parameters = [weights.astype(dtype), np.zeros(self.filters, dtype)]
        return (*sides, self.filters)

    def forward(self, x, training=False):
        self._x = x
        weights, bias = self.parameters
        return convolve(x, weights, bias)

    def backward(self, gradient, wanted=True):
        """A weight meets every patch of inputs; an input meets every weight, the other way round."""
        weights, _ = self.parameters
        summed = np.zeros((weights[..., 0].size, self.filters), gradient.dtype)
        for part, rows in patches(self._x, self.size):
            summed += rows.T @ gradient[part].reshape(-1, self.filters)
        self.gradients = [summed.reshape(weights.shape), gradient.sum((0, 1, 2))]
        return convolve(gradient, weights[::-1, ::-1].swapaxes(2, 3)) if wanted else None


def convolve(x: np.ndarray, weights: np.ndarray, bias: np.ndarray | float = 0.0) -> np.ndarray:
    """Return the products of `weights` (size, size, channels, filters) with all patches of x, plus bias."""
    size, *_, filters = weights.shape
    kernels = np.ascontiguousarray(weights).reshape(-1, filters)
    y = np.empty((*x.shape[:3], filters), x.dtype)
    for part, rows in patches(x, size):
        out = y[part].reshape(-1, filters)
        np.matmul(rows, kernels, out=out)
        out += bias
    return y


def patches(x: np.ndarray, size: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield positions of a few images, and their patches as rows: (pixels of these images, size²·channels).

    The rows are valid until the next are asked for.
    """
    n, height, width, channels = x.shape
    edge, row = size // 2, size * size * channels
    few = max(1, PATCHES_BYTES // (height * width * row * x.itemsize))
    padded = np.zeros((min(few, n), height + 2 * edge, width + 2 * edge, channels), x.dtype)
    image, line, pixel, number = padded.strides
    # A view: at every pixel, `size` lines of the patch that begins there, each size·channels numbers.
    windows = np.lib.stride_tricks.as_strided(
        padded, (len(padded), height, width, size, size * channels), (image, line, pixel, line, number)
    )
    rows = np.empty(windows.shape, x.dtype)
    for start in range(0, n, few):
        count = min(few, n - start)
        part = slice(start, start + count)
        padded[:count, edge : edge + height, edge : edge + width] = x[part]
        rows[:count] = windows[:count]
        yield part, rows[:count].reshape(-1, row)


class Pooling(Layer):
    """One value of each size × size square of a channel; what is left over at the right and below is cut."""

    def __init__(self, size: int = 2):
        self.size = size

    def build(self, shape, streams, dtype):
        height, width, channels = shape
        return (height // self.size, width // self.size, channels)

    def _corners(self, x: np.ndarray) -> list[np.ndarray]:
        """Return views of x: all first pixels of the squares, all second ones, …"""
        size, (height, width) = self.size, x.shape[1:3]
        bottom, right = height - height % size, width - width % size
        return [x[:, i:bottom:size, j:right:size] for i in range(size) for j in range(size)]


class MaxPooling(Pooling):
    """The largest value of each square; the gradient goes to the first pixel that has it."""

    def forward(self, x, training=False):
        self._x = x
        first, *others = self._corners(x)
        self._y = first.copy()
        for corner in others:
            np.maximum(self._y, corner, out=self._y)
        return self._y

    def backward(self, gradient, wanted=True):
        result = np.zeros(self._x.shape, gradient.dtype)
        left = gradient.copy()  # what has found no pixel yet
        for x, into in zip(self._corners(self._x), self._corners(result), strict=True):
            np.multiply(left, x == self._y, out=into)
            left -= into
        return result


class AveragePooling(Pooling):
    """The mean of each square; each of its pixels gets an equal share of the gradient."""

    def forward(self, x, training=False):
        self._shape = x.shape
        return sum(self._corners(x)) / x.dtype.type(self.size**2)

    def backward(self, gradient, wanted=True):
        result = np.zeros(self._shape, gradient.dtype)
        for into in self._corners(result):
            np.divide(gradient, self.size**2, out=into)
        return result
