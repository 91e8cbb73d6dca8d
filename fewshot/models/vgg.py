"""AlexNet as torchvision builds it (arXiv 1404.5997), and the VGG networks (arXiv 1409.1556)."""

from __future__ import annotations

from fewshot.models import Norm, networks
from fewshot.models.forms import Stem, least_by_stem, register_family, small_form
from fewshot.settings import Share, Width


@networks.register("alexnet", least_size=least_by_stem(imagenet=63, cifar=15))
def alexnet(shape, outputs, *, stem: Stem = "auto", dropout: Share = 0.5, width: Width = 64):
    """AlexNet as torchvision builds it (arXiv 1404.5997): 61,100,840 parameters at 1000 classes.

    stem: imagenet, 11×11 with stride 4; cifar, 3×3; auto, cifar below 64×64. dropout: the share dropped
    before each of the two hidden dense layers. width: filters of the first convolution; the other layers
    keep their proportion to it.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import Normalise, average_to, conv, dense, flatten

    def relu(x):
        return layers.Activation("relu")(x)

    def pool(x):
        return layers.MaxPooling2D(3, 2)(x)

    inputs = keras.Input(shape)
    x = Normalise()(inputs)
    x = conv(x, width, 3, 1, 1) if small_form(stem, shape) else conv(x, width, 11, 4, 2)
    x = pool(relu(x))
    x = pool(relu(conv(x, 3 * width, 5, 1, 2)))
    for times in (6, 4, 4):
        x = relu(conv(x, times * width, 3, 1, 1))
    x = flatten(average_to(pool(x), 6))
    for _ in range(2):
        x = relu(dense(layers.Dropout(dropout)(x), 64 * width))
    return keras.Model(inputs, dense(x, outputs), name="alexnet")


def _vgg(
    depths,
    last_kernel,
    lrn,
    shape,
    outputs,
    *,
    norm: Norm = "none",
    dropout: Share = 0.5,
    width: Width = 64,
):
    """Five stages of 3×3 convolutions, each before a max-pooling, and three dense layers.

    norm: a normalisation after every convolution. dropout: the share dropped after each of the two hidden
    dense layers. width: filters of the first stage; the other layers keep their proportion to it. Images
    below 224×224 leave maps below 7×7, and a smaller first dense layer.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import (
        HE,
        LocalResponse,
        Normalise,
        average_to,
        conv,
        dense,
        flatten,
        normalise,
    )

    inputs = keras.Input(shape)
    x = Normalise()(inputs)
    for stage, depth in enumerate(depths):
        kernels = [3] * depth
        kernels[-1] = last_kernel if stage >= 2 else 3
        for kernel in kernels:
            # Without He's initialisation the signal fades: the paper started from shallower trained nets.
            x = conv(x, width * min(2**stage, 8), kernel, 1, kernel // 2, initial=HE)
            x = layers.Activation("relu")(normalise(x, norm))
        x = LocalResponse()(x) if lrn and not stage else x
        x = layers.MaxPooling2D()(x)
    x = flatten(average_to(x, 7))
    for _ in range(2):
        x = layers.Activation("relu")(dense(x, 64 * width, initial=HE))
        x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, dense(x, outputs), name="vgg")


_SUMMARY = "VGG {} (arXiv 1409.1556): {} parameters at 1000 classes."
register_family(
    _vgg,
    {
        "vgg11": (_SUMMARY.format("A", "132,863,336"), (1, 1, 2, 2, 2), 3, False),
        "vgg11-lrn": (_SUMMARY.format("A-LRN", "132,863,336"), (1, 1, 2, 2, 2), 3, True),
        "vgg13": (_SUMMARY.format("B", "133,047,848"), (2, 2, 2, 2, 2), 3, False),
        "vgg16-c": (_SUMMARY.format("C", "133,638,952"), (2, 2, 3, 3, 3), 1, False),
        "vgg16": (_SUMMARY.format("D", "138,357,544"), (2, 2, 3, 3, 3), 3, False),
        "vgg19": (_SUMMARY.format("E", "143,667,240"), (2, 2, 4, 4, 4), 3, False),
    },
    least_size=32,
)
