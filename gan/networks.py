"""Architectures: pairs of a generator and a discriminator, registered by name.

A builder is `build(side, labels, **switches) -> generator, discriminator`. The generator goes from latents
(N, latent), standard normal, to raw pixels (0–255, as floats); the discriminator from raw pixels to one
logit an image, high for real ones. With `labels` classes, both take one-hot labels (N, labels) beside that;
with 0 they take none. Sides are multiples of 8: three doublings lead from the dense layer's maps to images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np

from fewshot.errors import UsageError, field
from fewshot.settings import Configurable, Range, Width

architectures = Configurable("architecture")
Halved = Annotated[int, Range(2, 65_536, whole=True)]  # channels, half as many at the end

SIDE = 8  # images' sides are multiples of it
BATCH = 100  # images made at once


def build(text: str, shape: tuple[int, int, int], labels: int):
    """Return a new generator and discriminator; `UsageError` for images that are no fit."""
    check_shape(shape)
    return architectures.build(text, shape[0], labels)


def check_shape(shape: tuple[int, int, int]) -> None:
    """Raise `UsageError` for images of a shape that no generator here makes."""
    height, width, _ = shape
    if height != width or height % SIDE:
        raise UsageError(
            f"a GAN makes square images whose side is a multiple of {SIDE}: use {field('image_size', 32)}. "
            f"Received: {height}×{width}"
        )


def to_images(forward: Callable, *inputs: np.ndarray) -> np.ndarray:
    """Return the images, uint8, of a generator's inputs, which `forward` takes a batch at a time."""
    batches = range(0, len(inputs[0]), BATCH)
    parts = [forward(*(array[i : i + BATCH] for array in inputs)) for i in batches]
    drawn = np.nan_to_num(np.concatenate(parts), nan=0)  # black, where a training diverged
    return drawn.round().clip(0, 255).astype(np.uint8)


@architectures.register("dcgan")
def dcgan(side, labels, *, latent: Width = 100):
    """The few-shot report's DCGAN, after Brownlee's tutorial: 1,466,115 and 522,497 parameters."""
    from keras import layers

    def generate(x):
        x = _leaky(_to_maps(x, side, 256))
        for _ in range(3):
            x = _leaky(layers.Conv2DTranspose(128, 4, 2, "same")(x))
        return x

    def discriminate(x):
        for filters, strides in ((64, 1), (128, 2), (128, 2), (256, 2)):
            x = _leaky(layers.Conv2D(filters, 3, strides, "same")(x))
        return layers.Dropout(0.4)(layers.Flatten()(x))

    return _generator(latent, labels, generate), _discriminator(side, labels, discriminate, layers.Dense)


@architectures.register("light")
def light(side, labels, *, latent: Width = 64, width: Halved = 32, spectral=False):
    """Thin at full size, with BatchNorm in the generator: a twelfth of dcgan's arithmetic.

    width: channels at full size. spectral: whether the discriminator's layers are held to
    norm 1 (arXiv 1802.05957).
    """
    from keras import layers

    from gan.layers import SpectralConv2D, SpectralDense

    conv, dense = (SpectralConv2D, SpectralDense) if spectral else (layers.Conv2D, layers.Dense)

    def active(x):
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    def generate(x):
        x = active(_to_maps(x, side, 4 * width))
        for filters in (2 * width, width, width // 2):
            x = active(layers.Conv2DTranspose(filters, 4, 2, "same", use_bias=False)(x))
        return x

    def discriminate(x):
        for filters in (width, 2 * width, 4 * width):
            x = _leaky(conv(filters, 4, 2, "same")(x))
        return layers.Flatten()(x)

    return _generator(latent, labels, generate), _discriminator(side, labels, discriminate, dense)


def _leaky(x):
    """Return max(x, 0.2 x); `LeakyReLU` makes TensorFlow's graph optimiser stumble, and say so."""
    from keras import ops

    return ops.maximum(x, 0.2 * x)


def _to_maps(x, side, channels):
    """Return the smallest maps, by a dense layer."""
    from keras import layers

    start = side // SIDE
    return layers.Reshape((start, start, channels))(layers.Dense(start * start * channels)(x))


def _generator(latent, labels, body):
    """Return the model: latents, with labels beside them where there are any, through `body` to pixels."""
    import keras
    from keras import layers

    inputs = [keras.Input((latent,), name="latents")]
    x = inputs[0]
    if labels:
        inputs.append(keras.Input((labels,), name="labels"))
        x = layers.Concatenate()(inputs)
    pixels = layers.Conv2D(3, 3, padding="same", activation="tanh")(body(x))
    return keras.Model(inputs, layers.Rescaling(127.5, 127.5)(pixels), name="generator")


def _discriminator(side, labels, body, dense):
    """Return the model; labels speak by projection: the product of an embedding and the features.

    Miyato and Koyama, arXiv 1802.05637.
    """
    import keras
    from keras import layers

    inputs = [keras.Input((side, side, 3), name="images")]
    features = body(layers.Rescaling(1 / 127.5, -1.0)(inputs[0]))
    logit = dense(1)(features)
    if labels:
        inputs.append(keras.Input((labels,), name="labels"))
        embedded = dense(features.shape[-1], use_bias=False)(inputs[1])
        logit = layers.Add()([logit, layers.Dot(1)([embedded, features])])
    return keras.Model(inputs, logit, name="discriminator")
