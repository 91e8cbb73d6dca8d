"""Residual networks (arXiv 1512.03385), as torchvision builds them: stride 2 on the 3×3 convolutions."""

from __future__ import annotations

from fewshot.models import Norm
from fewshot.models.forms import Stem, least_by_stem, register_family, small_form
from fewshot.settings import Width


def _resnet(
    bottleneck,
    depths,
    shape,
    outputs,
    *,
    stem: Stem = "auto",
    norm: Norm = "batch",
    se=False,
    plain=False,
    width: Width = 64,
):
    """Stages of residual blocks, two or three convolutions each; every stage halves the maps.

    stem: imagenet, 7×7 with stride 2 and a max-pooling; cifar, 3×3 alone; auto, cifar below 64×64.
    norm: the normalisation after every convolution. se: squeeze-and-excitation at the end of every block.
    plain: the twin without shortcuts. width: filters of the first stage, doubled at each of the others.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import HE, Normalise, conv, dense, normalise, squeeze_excite

    def unit(x, filters, kernel=3, strides=1, relu=True):
        # A normalisation would take a bias away again.
        x = conv(x, filters, kernel, strides, kernel // 2, bias=norm == "none", initial=HE)
        x = normalise(x, norm)
        return layers.Activation("relu")(x) if relu else x

    def block(x, filters, strides):
        if bottleneck:
            y = unit(unit(x, filters, 1), filters, 3, strides)
            y = unit(y, 4 * filters, 1, relu=False)
        else:
            y = unit(unit(x, filters, 3, strides), filters, relu=False)
        y = squeeze_excite(y, reduction=16) if se else y
        if not plain:
            fits = x.shape == y.shape
            y = layers.Add()([x if fits else unit(x, y.shape[-1], 1, strides, relu=False), y])
        return layers.Activation("relu")(y)

    inputs = keras.Input(shape)
    x = Normalise()(inputs)
    if small_form(stem, shape):
        x = unit(x, width)
    else:
        x = layers.ZeroPadding2D()(unit(x, width, 7, 2))
        x = layers.MaxPooling2D(3, 2)(x)
    for stage, depth in enumerate(depths):
        for i in range(depth):
            x = block(x, width * 2**stage, 2 if stage and not i else 1)
    return keras.Model(inputs, dense(layers.GlobalAveragePooling2D()(x), outputs), name="resnet")


_SUMMARY = "ResNet-{} (arXiv 1512.03385): {} parameters at 1000 classes."
register_family(
    _resnet,
    {
        "resnet18": (_SUMMARY.format(18, "11,689,512"), False, (2, 2, 2, 2)),
        "resnet34": (_SUMMARY.format(34, "21,797,672"), False, (3, 4, 6, 3)),
        "resnet50": (_SUMMARY.format(50, "25,557,032"), True, (3, 4, 6, 3)),
        "resnet101": (_SUMMARY.format(101, "44,549,160"), True, (3, 4, 23, 3)),
        "resnet152": (_SUMMARY.format(152, "60,192,808"), True, (3, 8, 36, 3)),
    },
    least_size=least_by_stem(imagenet=32, cifar=8),
)
