"""Layers that the networks share, with PyTorch's default initialisation unless another is given.

Each layer of our own has `standard(x)`: what it does to a symbolic tensor, in Keras's own layers and
operations. Saved models are made of these, so that Keras opens them anywhere, without this package.
"""

from __future__ import annotations

import functools
import math

import keras
import numpy as np
from keras import layers

from fewshot import backend
from fewshot.models import Norm
from fewshot.stats.calibration import DOUBT, FLOOR

# CIFAR-10's statistics, as the few-shot report's testbed uses them.
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.247, 0.243, 0.261)

# He's initialisation (arXiv 1502.01852), as torchvision draws it: it keeps the size of the gradients
# through any number of ReLUs, where PyTorch's default lets them fade. To be called once a layer: an
# initialiser of Keras draws the same values each time. (Of depthwise kernels torchvision counts all channels
# as fan-out, Keras one, so that ours begin larger; BatchNorm takes that out again.)
HE = functools.partial(keras.initializers.VarianceScaling, 2.0, "fan_out", "untruncated_normal")


@keras.saving.register_keras_serializable("fewshot")
class TorchUniform(keras.initializers.Initializer):
    """PyTorch's default for weights and biases: uniform in ±1/√fan-in.

    It draws from NumPy's global generator what PyTorch would draw: after `numpy.random.seed(s)` a network
    built layer by layer has the weights that the same network has after `torch.manual_seed(s)`.
    Both are a Mersenne Twister; PyTorch makes a float of the low 24 bits of each word.
    """

    def __init__(self, fan_in: int):
        self.fan_in = fan_in

    def __call__(self, shape, dtype=None):
        """Return the values; the last axis of a kernel is its outputs, the first axis of PyTorch's."""
        *inner, inputs, outputs = (1, *shape)
        words = np.random.randint(0, 2**32, (outputs, inputs, *inner), np.uint32)
        bound = np.float32(1 / math.sqrt(self.fan_in))
        values = (words & 0xFFFFFF).astype(np.float32) * np.float32(2**-24) * (bound - -bound) - bound
        return keras.ops.cast(np.moveaxis(values, (0, 1), (-1, -2)).reshape(shape), dtype or "float32")

    def get_config(self) -> dict:
        """Return the arguments, for saved models."""
        return {"fan_in": self.fan_in}


@keras.saving.register_keras_serializable("fewshot")
class Dirac(TorchUniform):
    """The identity for as many channels as there are filters; filters beyond are PyTorch's default."""

    def __call__(self, shape, dtype=None):
        """Return the values of a kernel of odd sides, (height, width, inputs, outputs)."""
        values = np.array(super().__call__(shape))
        height, width, inputs, outputs = shape
        values[..., : min(inputs, outputs)] = 0
        for channel in range(min(inputs, outputs)):
            values[height // 2, width // 2, channel, channel] = 1
        return keras.ops.cast(values, dtype or "float32")


class InOperations(layers.Layer):
    """A layer without weights, whose `call` is made of Keras's operations alone."""

    def standard(self, x):
        """Return the same of a symbolic tensor, each operation by itself."""
        return self.call(x)


def mixed(x, kernel: np.ndarray, bias: np.ndarray, name: str):
    """Return images whose channels are mixed by a matrix (C, C), plus a bias: a convolution of one pixel."""
    layer = layers.Conv2D(len(bias), 1, name=name, dtype="float32")
    outputs = layer(x)
    layer.set_weights([np.asarray(kernel, np.float32)[None, None], np.asarray(bias, np.float32)])
    return outputs


@functools.cache
def _covariances(patch: int):
    """Return the compiled function from raw images to the mean products of their patches' values, (D, D)."""

    def products(images):
        x = (keras.ops.cast(images, "float32") / 255 - np.float32(MEAN)) / np.float32(STD)
        height, width = (side - patch + 1 for side in x.shape[1:3])
        shifts = [(row, column) for row in range(patch) for column in range(patch)]
        moved = [x[:, row : row + height, column : column + width] for row, column in shifts]
        rows = keras.ops.reshape(keras.ops.concatenate(moved, -1), (-1, patch**2 * x.shape[-1]))
        return keras.ops.matmul(keras.ops.transpose(rows), rows) / rows.shape[0]

    run = backend.compile_function(products)
    return lambda images: np.asarray(run(images))


@keras.saving.register_keras_serializable("fewshot")
class Whiten(layers.Layer):
    """Take patches apart along the principal directions of the training images, each scaled to variance 1.

    `adapt` finds the directions; they are not trained, the biases are. Every direction comes with its
    negative, for the ReLU-like function that follows. Without `adapt` the directions are random. In float32
    whatever the network's precision: the last directions are small differences of large values.
    """

    def __init__(self, patch: int, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.patch = patch

    def build(self, shape):
        """Make kernels for all directions of a patch, and biases."""
        side, size = self.patch, self.patch**2 * shape[-1]
        self.kernel = self.add_weight(
            shape=(side, side, shape[-1], 2 * size), initializer=TorchUniform(size), trainable=False
        )
        self.bias = self.add_weight(shape=(2 * size,), initializer="zeros")
        self.bias.whitening = True  # read by the optimiser

    def adapt(self, images: np.ndarray) -> None:
        """Take the directions from raw images, uint8 (N, height, width, channels), of which some suffice.

        These are spread over all of them, which may stand class by class.
        """
        some = images[:: max(1, len(images) // 5000)]
        variances, directions = np.linalg.eigh(_covariances(self.patch)(some))
        scaled = directions / np.sqrt(variances + 5e-4)
        self.kernel.assign(np.concatenate([scaled, -scaled], 1).reshape(self.kernel.shape))

    def call(self, x):
        """Return the patches' coordinates, (N, height - patch + 1, width - patch + 1, directions)."""
        return keras.ops.conv(x, self.kernel, padding="valid") + self.bias

    def standard(self, x):
        """Return the same of a symbolic tensor: a convolution."""
        layer = layers.Conv2D(self.kernel.shape[-1], self.patch, name=self.name, dtype="float32")
        outputs = layer(x)
        layer.set_weights([np.array(self.kernel), np.array(self.bias)])
        return outputs

    def get_config(self) -> dict:
        """Return the arguments, for saved models."""
        return {**super().get_config(), "patch": self.patch}


@keras.saving.register_keras_serializable("fewshot")
class Normalise(layers.Layer):
    """Scale raw pixels to [0, 1], then normalise each channel by `MEAN` and `STD`.

    Keras's `Rescaling` with a value a channel costs ten times as much on a CPU: it broadcasts three
    values along the innermost axis. Here a whole image is one row. In float32 whatever the network's
    precision, in which neighbouring grey levels would be the same.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)

    def build(self, shape):
        """Note how many pixels there are; constants for them are laid out only where images come."""
        self._pixels = shape[1] * shape[2]

    @functools.cached_property
    def _constants(self) -> tuple[np.ndarray, np.ndarray]:
        """What every value of an image is multiplied by, and what is added then."""
        mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
        return np.tile(1 / (255 * std), self._pixels), np.tile(-mean / std, self._pixels)

    def compute_output_shape(self, shape):
        """Return the shape, unchanged: Keras would trace `call` to find out."""
        return shape

    def call(self, x):
        """Return the normalised images, same shape."""
        scale, offset = self._constants
        rows = keras.ops.reshape(x, (-1, len(scale)))
        return keras.ops.reshape(rows * scale + offset, (-1, *x.shape[1:]))

    def standard(self, x):
        """Return the same of a symbolic tensor: a convolution of one pixel."""
        return mixed(x, np.diag(1 / (255 * np.array(STD))), -np.array(MEAN) / np.array(STD), self.name)


def conv(
    x,
    filters: int,
    kernel: int = 3,
    strides: int = 1,
    padding: str | int = "valid",
    *,
    bias=True,
    initial=None,
):
    """Convolve. padding: Keras's word, or so many zeros on each side, as PyTorch counts.

    initial: makes the kernel's initialiser, biases then start at zero; by default both are PyTorch's.
    """
    x, padding = padded(x, kernel, strides, padding)
    return layers.Conv2D(
        filters, kernel, strides, padding, use_bias=bias, **_initial(initial, kernel * kernel * x.shape[-1])
    )(x)


def depthwise(x, kernel: int = 3, strides: int = 1, padding: str | int = "valid", *, bias=True, initial=HE):
    """Convolve each channel by itself; the arguments are those of `conv`."""
    x, padding = padded(x, kernel, strides, padding)
    return layers.DepthwiseConv2D(
        kernel, strides, padding, use_bias=bias, depthwise_initializer=initial(), bias_initializer="zeros"
    )(x)


def padded(x, kernel: int, strides: int, padding: str | int):
    """Return the maps and Keras's word for what is left to pad.

    Keras's "same" pads as PyTorch does where nothing is skipped; with strides it pads the far sides first.
    """
    if isinstance(padding, str):
        return x, padding
    if strides == 1 and kernel == 2 * padding + 1:
        return x, "same"
    return (layers.ZeroPadding2D(padding)(x) if padding else x), "valid"


def _initial(initial, fan_in: int) -> dict:
    if initial:
        return {"kernel_initializer": initial(), "bias_initializer": "zeros"}
    return dict.fromkeys(("kernel_initializer", "bias_initializer"), TorchUniform(fan_in))


def flatten(x):
    """Flatten maps channel by channel, as PyTorch's layout does."""
    return layers.Flatten()(layers.Permute((3, 1, 2))(x))


def dense(x, units: int, *, initial=None):
    """Apply a fully connected layer; `initial` as in `conv`."""
    return layers.Dense(units, **_initial(initial, x.shape[-1]))(x)


def normalise(x, kind: Norm):
    """Normalise maps: none, batch, layer (all of an image), group (of 8 channels) or instance (of one).

    With PyTorch's constants (eps 1e-5; BatchNorm's statistics move by a tenth an update).
    """
    channels = x.shape[-1]
    groups = {"layer": 1, "group": max(1, channels // 8), "instance": channels}
    if kind == "none":
        return x
    if kind == "batch":
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return layers.GroupNormalization(groups[kind], epsilon=1e-5)(x)


def squeeze_excite(x, reduction: int = 4):
    """Weigh the channels by two dense layers on their means (squeeze-and-excitation, arXiv 1709.01507)."""
    channels = x.shape[-1]
    weights = layers.GlobalAveragePooling2D(keepdims=True)(x)
    weights = layers.Activation("relu")(conv(weights, max(1, channels // reduction), kernel=1))
    return layers.Multiply()([x, layers.Activation("sigmoid")(conv(weights, channels, kernel=1))])


def average_to(x, side: int):
    """Average maps down to side×side, as PyTorch's adaptive pooling does; leave smaller ones as they are.

    PyTorch would repeat the values of smaller maps, and the dense layer after them would weigh each
    value many times over.
    """
    return layers.AdaptiveAveragePooling2D(side)(x) if min(x.shape[1:3]) > side else x


@keras.saving.register_keras_serializable("fewshot")
class Scale(layers.Layer):
    """Multiply each channel by a weight that starts at `initial` (LayerScale, arXiv 2103.17239)."""

    def __init__(self, initial: float, **kwargs):
        super().__init__(**kwargs)
        self.initial = initial

    def build(self, shape):
        """Make a weight a channel."""
        value = keras.initializers.Constant(self.initial)
        self.scale = self.add_weight(shape=shape[-1:], initializer=value, name="scale")

    def call(self, x):
        """Return the scaled maps."""
        return x * self.scale

    def standard(self, x):
        """Return the same of a symbolic tensor: a depthwise convolution of one pixel."""
        layer = layers.DepthwiseConv2D(1, use_bias=False, name=self.name)
        outputs = layer(x)
        layer.set_weights([np.array(self.scale)[None, None, :, None]])
        return outputs

    def get_config(self) -> dict:
        """Return the arguments, for saved models."""
        return {**super().get_config(), "initial": self.initial}


@keras.saving.register_keras_serializable("fewshot")
class Mirror(InOperations):
    """The mirror images."""

    def call(self, x):
        """Return images with left and right exchanged, same shape."""
        return keras.ops.flip(x, axis=2)


@keras.saving.register_keras_serializable("fewshot")
class Shifted(InOperations):
    """Images shifted down and right by so many pixels (up and left, where negative), reflecting."""

    def __init__(self, pixels: int, **kwargs):
        super().__init__(**kwargs)
        self.pixels = pixels

    def call(self, x):
        """Return the shifted images, same shape."""
        height, width = x.shape[1:3]
        border, first = abs(self.pixels), max(-2 * self.pixels, 0)
        wide = keras.ops.pad(x, [(0, 0), (border, border), (border, border), (0, 0)], mode="reflect")
        return wide[:, first : first + height, first : first + width]

    def get_config(self) -> dict:
        """Return the arguments, for saved models."""
        return super().get_config() | {"pixels": self.pixels}


@keras.saving.register_keras_serializable("fewshot")
class HalfPrecision(InOperations):
    """Round to half precision, as stored features are: what comes after was trained on such."""

    def call(self, x):
        """Return the rounded values, float32, same shape."""
        return keras.ops.cast(keras.ops.cast(x, "float16"), "float32")


@keras.saving.register_keras_serializable("fewshot")
class Temperature(InOperations):
    """Calibrate probabilities by a temperature: `fewshot.stats.calibration.scaled` as a layer."""

    def __init__(self, temperature: float, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, x):
        """Return the probabilities, calibrated, same shape."""
        scaled = keras.ops.softmax(keras.ops.log(keras.ops.maximum(x, FLOOR)) / self.temperature)
        return (1 - DOUBT) * scaled + DOUBT / x.shape[-1]

    def get_config(self) -> dict:
        """Return the arguments, for saved models."""
        return super().get_config() | {"temperature": self.temperature}


@keras.saving.register_keras_serializable("fewshot")
class LocalResponse(InOperations):
    """AlexNet's local response normalisation over 5 neighbouring channels (Krizhevsky 2012, k, α, β)."""

    def call(self, x):
        """Return the normalised maps: x / (2 + 1e-4 Σ x²) ** 0.75."""
        squares = keras.ops.pad(keras.ops.square(x), [(0, 0)] * (len(x.shape) - 1) + [(2, 2)])
        channels = x.shape[-1]
        total = sum(squares[..., shift : shift + channels] for shift in range(5))
        return x * (2 + 1e-4 * total) ** -0.75
