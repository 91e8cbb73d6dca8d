"""Layers: what a network is made of, each with its forward and its backward pass. NumPy only.

Every layer follows the same three steps. `build` is told the shape of one input, makes the weights and
returns the shape of one output. `forward` maps a batch of inputs to a batch of outputs and keeps what the
way back needs. `backward` is given ∂loss/∂output and returns ∂loss/∂input; where the layer has weights, it
leaves ∂loss/∂weights in `gradients`. The chain rule then is a loop over the layers, last to first.

Batches of images are (N, height, width, channels).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from fewshot.errors import UsageError

Init = Literal["he", "xavier"]
Shape = tuple[int, ...]
Streams: TypeAlias = "Mapping[str, np.random.Generator]"


def initial(init: Init, fan_in: int, fan_out: int, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Return random weights that keep the size of the signal from layer to layer.

    xavier: uniform with variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010).
    he: normal with variance 2 / fan_in, for ReLU loses half of the signal (arXiv 1502.01852).
    """
    if init == "xavier":
        bound = math.sqrt(6 / (fan_in + fan_out))
        return rng.uniform(-bound, bound, shape)
    return rng.normal(0, math.sqrt(2 / fan_in), shape)


class Layer:
    """The contract, and all of a layer without weights but its arithmetic.

    parameters: the weights, changed in place by the optimiser. gradients: of the last batch, in that order.
    """

    parameters: Sequence[np.ndarray] = ()
    gradients: Sequence[np.ndarray] = ()

    def build(self, shape: Shape, streams: Streams, dtype: str) -> Shape:
        """Take the shape of one input and return that of one output.

        streams: the generators "init", of the weights, and "dropout". dtype: of weights and activations.
        """
        return shape

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the outputs; in training, keep what `backward` needs."""
        raise NotImplementedError

    def backward(self, gradient: np.ndarray, wanted: bool = True) -> np.ndarray | None:
        """Return the gradient of the inputs, of the batch that `forward` saw last in training.

        wanted: the first layer with weights is spared that: nothing before it learns.
        """
        raise NotImplementedError


class Dense(Layer):
    """Fully connected: y = x W + b, with W (inputs, outputs)."""

    def __init__(self, outputs: int, init: Init = "he"):
        self.outputs, self.init = outputs, init

    def build(self, shape, streams, dtype):
        (inputs,) = shape
        weights = initial(self.init, inputs, self.outputs, (inputs, self.outputs), streams["init"])
        self.parameters = [weights.astype(dtype), np.zeros(self.outputs, dtype)]
        return (self.outputs,)

    def forward(self, x, training=False):
        self._x = x
        weights, bias = self.parameters
        return x @ weights + bias

    def backward(self, gradient, wanted=True):
        self.gradients = [self._x.T @ gradient, gradient.sum(0)]
        return gradient @ self.parameters[0].T if wanted else None


class Flatten(Layer):
    """One row an image."""

    def build(self, shape, streams, dtype):
        return (math.prod(shape),)

    def forward(self, x, training=False):
        self._shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, gradient, wanted=True):
        return gradient.reshape(self._shape)


class ReLU(Layer):
    """max(x, 0). Its slope is 1 or 0: the gradient passes where the input was positive."""

    def forward(self, x, training=False):
        self._y = np.maximum(x, 0)
        return self._y

    def backward(self, gradient, wanted=True):
        return gradient * (self._y > 0)


class GELU(Layer):
    """x Φ(x), Φ the normal distribution, by its tanh form (arXiv 1606.08415): NumPy has no error function."""

    SCALE, CUBE = math.sqrt(2 / math.pi), 0.044715

    def forward(self, x, training=False):
        self._x, self._tanh = x, np.tanh(self.SCALE * (x + self.CUBE * x * x * x))
        return 0.5 * x * (1 + self._tanh)

    def backward(self, gradient, wanted=True):
        inner = self.SCALE * (1 + 3 * self.CUBE * self._x * self._x)
        slope = 0.5 * (1 + self._tanh) + 0.5 * self._x * (1 - self._tanh * self._tanh) * inner
        return gradient * slope


class Dropout(Layer):
    """In training, drop a share of the inputs at random, and scale the others up so that the mean stays."""

    def __init__(self, share: float):
        if not 0 <= share < 1:
            raise UsageError(f"dropout is 0 or more, and below 1. Received: {share}")
        self.share = share

    def build(self, shape, streams, dtype):
        self._rng = streams["dropout"]
        return shape

    def forward(self, x, training=False):
        if not training:
            return x
        kept = self._rng.random(x.shape, np.float32) >= self.share
        self._mask = kept * x.dtype.type(1 / (1 - self.share))
        return x * self._mask

    def backward(self, gradient, wanted=True):
        return gradient * self._mask


class BatchNorm(Layer):
    """Normalise each channel over the batch, then scale by γ and shift by β (arXiv 1502.03167).

    Predictions use the moving averages of mean and variance, which training updates by a share of
    1 - momentum (a batch's variance being that of the batch: divided by N, not N - 1).
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5):
        self.momentum, self.epsilon = momentum, epsilon

    def build(self, shape, streams, dtype):
        channels = shape[-1]
        self.parameters = [np.ones(channels, dtype), np.zeros(channels, dtype)]
        self.mean, self.variance = np.zeros(channels, dtype), np.ones(channels, dtype)
        return shape

    def forward(self, x, training=False):
        gamma, beta = self.parameters
        if not training:
            scale = gamma / np.sqrt(self.variance + self.epsilon)
            return x * scale + (beta - self.mean * scale)
        axes = tuple(range(x.ndim - 1))  # all but the channels
        mean, variance = x.mean(axes), x.var(axes)
        for moving, of_batch in ((self.mean, mean), (self.variance, variance)):
            moving += (1 - self.momentum) * (of_batch - moving)
        self._deviation = np.sqrt(variance + self.epsilon)
        self._normal = (x - mean) / self._deviation
        return gamma * self._normal + beta

    def backward(self, gradient, wanted=True):
        """Every input moves the mean and the variance, too: hence the two corrections."""
        axes = tuple(range(gradient.ndim - 1))
        self.gradients = [(gradient * self._normal).sum(axes), gradient.sum(axes)]
        count = gradient.size // gradient.shape[-1]
        along, level = (total / count for total in self.gradients)
        return self.parameters[0] / self._deviation * (gradient - level - self._normal * along)
