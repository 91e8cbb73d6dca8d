"""MobileNetV2 (arXiv 1801.04381) as torchvision builds it, and the fast-response report's short one."""

from __future__ import annotations

import math

from fewshot.errors import UsageError
from fewshot.models import Norm
from fewshot.models.forms import Stem, least_by_stem, register_family, small_form
from fewshot.settings import Factor, Share, Size

# (t, c, n, s): expansion, channels, blocks, stride of the first of them.
PAPER = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
SHORT = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 1, 2), (6, 96, 2, 1), (6, 160, 2, 2), (6, 320, 1, 1))
SHRINK = 8  # the small-image form makes maps so many times smaller than the image, not more


def _strides(stages) -> list[int]:
    """Return the strides of the stem and of all stages."""
    return [2, *(stride for _, _, _, stride in stages)]


def _small(strides: list[int]) -> list[int]:
    """Return the strides of the small-image form: the first ones are left out."""
    strides = list(strides)
    while math.prod(strides) > SHRINK:
        strides[strides.index(2)] = 1
    return strides


def _channels(wanted: float) -> int:
    """Return the multiple of 8 next to `wanted`, at least 90 % of it."""
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


def _mobilenet(
    stages,
    shape,
    outputs,
    *,
    stem: Stem = "auto",
    norm: Norm = "batch",
    se=False,
    dropout: Share = 0.2,
    width: Factor = 1.0,
    size: Size = 0,
):
    """Inverted residual blocks: 1×1 convolutions to more channels, 3×3 depthwise, 1×1 back to fewer.

    stem: imagenet, all strides; cifar, without the first ones, so that maps are an eighth of the image;
    auto, cifar below 64×64. norm: the normalisation after every convolution. se: squeeze-and-excitation
    after the depthwise ones. dropout: the share dropped before the last layer. width: multiplies all
    channels. size: images are resized to this side first; 0 leaves them as they are.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import HE, Normalise, conv, dense, depthwise, normalise, squeeze_excite

    if width <= 0:
        raise UsageError(f"width multiplies the channels, a number above 0. Received: {width}")
    bias = norm == "none"  # a normalisation would take it away again

    def unit(x, filters, kernel=1, strides=1):
        x = conv(x, filters, kernel, strides, kernel // 2, bias=bias, initial=HE)
        return layers.Activation("relu6")(normalise(x, norm))

    def block(x, expansion, filters, strides):
        y = unit(x, expansion * x.shape[-1]) if expansion > 1 else x
        y = normalise(depthwise(y, 3, strides, 1, bias=bias), norm)
        y = layers.Activation("relu6")(y)
        y = squeeze_excite(y) if se else y
        y = normalise(conv(y, filters, 1, bias=bias, initial=HE), norm)
        return layers.Add()([x, y]) if x.shape == y.shape else y

    inputs = keras.Input(shape)
    x = layers.Resizing(size, size)(inputs) if size else inputs
    first, *strides = _small(_strides(stages)) if small_form(stem, x.shape[1:]) else _strides(stages)
    x = unit(Normalise()(x), _channels(32 * width), 3, first)
    for (expansion, channels, blocks, _), stride in zip(stages, strides, strict=True):
        for i in range(blocks):
            x = block(x, expansion, _channels(channels * width), 1 if i else stride)
    x = unit(x, _channels(1280 * max(1.0, width)))
    x = layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, dense(x, outputs), name="mobilenet")


register_family(
    _mobilenet,
    {
        "mobilenetv2": ("MobileNetV2 (arXiv 1801.04381): 3,504,872 parameters at 1000 classes.", PAPER),
        "mobilenetv2-short": (
            "The fast-response report's MobileNetV2 of nine blocks: 1,545,482 parameters at 10 classes.",
            SHORT,
        ),
    },
    least_size=least_by_stem(imagenet=32, cifar=SHRINK),
)
