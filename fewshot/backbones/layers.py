"""Layers that the ported backbones share; what a layer is called is what its weights are called."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from fewshot.models.layers import mixed, padded

# ImageNet's statistics as torchvision uses them, and the means that Caffe's networks subtract, for 0–255.
TORCH_MEAN, TORCH_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red


@keras.saving.register_keras_serializable("fewshot")
class Pixels(layers.Layer):
    """Subtract `mean` from the raw pixels and divide by `std`; with `bgr`, reverse the channels first."""

    def __init__(self, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), bgr: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.mean, self.std, self.bgr = tuple(mean), tuple(std), bgr

    def call(self, x):
        """Return what the network was trained on, same shape."""
        rows = keras.ops.reshape(x[..., ::-1] if self.bgr else x, (-1, x.shape[2] * 3))
        # A row of the image at a time: along an axis of three the same costs ten times as much on a CPU.
        mean, std = (np.tile(np.array(values, "float32"), x.shape[2]) for values in (self.mean, self.std))
        return keras.ops.reshape((rows - mean) / std, (-1, *x.shape[1:]))

    def standard(self, x):
        """Return the same of a symbolic tensor: a convolution of one pixel."""
        kernel = np.diag(1 / np.array(self.std))
        return mixed(
            x, kernel[::-1] if self.bgr else kernel, -np.array(self.mean) / np.array(self.std), self.name
        )

    def get_config(self) -> dict:
        """Return the arguments, for saved models."""
        return super().get_config() | {"mean": self.mean, "std": self.std, "bgr": self.bgr}


def conv(
    x,
    name: str,
    filters: int,
    kernel: int | tuple[int, int],
    strides: int = 1,
    padding: int | str | None = None,
    bias: bool = False,
):
    """Convolve; `padding` is Keras's word or zeros on each side; None, half a kernel of them.

    A `kernel` that is not square, (height, width), needs a word.
    """
    x, padding = padded(x, kernel, strides, kernel // 2 if padding is None else padding)
    return layers.Conv2D(
        filters, kernel, strides, padding, use_bias=bias, kernel_initializer="he_normal", name=name
    )(x)


def depthwise(x, name: str, kernel: int, strides: int = 1, padding: int | str | None = None):
    """Convolve each channel by itself."""
    x, padding = padded(x, kernel, strides, kernel // 2 if padding is None else padding)
    # Keras counts all channels as a depthwise kernel's inputs; it has one.
    initial = keras.initializers.RandomNormal(stddev=np.sqrt(2) / kernel)
    return layers.DepthwiseConv2D(
        kernel, strides, padding, use_bias=False, depthwise_initializer=initial, name=name
    )(x)


def norm(x, name: str, epsilon: float = 1e-5, scale: bool = True):
    """Normalise by batch statistics; without `scale`, shift only."""
    return layers.BatchNormalization(momentum=0.9, epsilon=epsilon, scale=scale, name=name)(x)


def relu(x):
    """Cut off below zero."""
    return layers.Activation("relu")(x)


def relu6(x):
    """Cut off below zero and above six."""
    return layers.Activation("relu6")(x)


def max_pool(x, kernel: int, strides: int, padding: int = 0):
    """Take the largest of each window; `padding` zeros on each side, which is right behind a ReLU."""
    if padding:
        x = layers.ZeroPadding2D(padding)(x)
    return layers.MaxPooling2D(kernel, strides)(x)


def classify(x, name: str, outputs: int = 1000):
    """Return logits."""
    return layers.Dense(outputs, name=name)(x)
