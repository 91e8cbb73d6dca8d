"""The oldest network here and its descendant in the lecture, and a network without convolutions."""

from __future__ import annotations

from typing import Literal

from fewshot.models import networks
from fewshot.models.forms import register_family
from fewshot.settings import Share, Width

Norm = Literal["none", "batch", "layer", "group"]  # a dense layer's output has no maps to take one by one


def _lenet(activation, pooling, shape, outputs):
    """Two unpadded 5×5 convolutions, each before a pooling, and three dense layers."""
    import keras
    from keras import layers

    from fewshot.models.layers import Normalise, conv, dense, flatten

    pool = {"average": layers.AveragePooling2D, "max": layers.MaxPooling2D}[pooling]
    inputs = keras.Input(shape)
    x = Normalise()(inputs)
    for filters in (6, 16):
        x = layers.Activation(activation)(conv(x, filters, 5))
        x = pool(2)(x)
    x = flatten(x)
    for units in (120, 84):
        x = layers.Activation(activation)(dense(x, units))
    return keras.Model(inputs, dense(x, outputs), name="lenet")


register_family(
    _lenet,
    {
        "lenet5": (
            "LeNet-5 with sigmoid and average pooling (LeCun 1998), as the fast-response report has it: "
            "62,006 parameters.",
            "sigmoid",
            "average",
        ),
        "lecture-net": (
            "The lecture's small PyTorch example, ReLU and max-pooling: 62,006 parameters.",
            "relu",
            "max",
        ),
    },
    least_size=16,
)


@networks.register("mlp", least_size=1)
def mlp(shape, outputs, *, norm: Norm = "batch", dropout: Share = 0.3, width: Width = 512):
    """The MLP report's network: dense layers of 512, 256, 128 and 64, 1,748,426 parameters.

    Each with a normalisation (`norm`), GELU and dropout. The report does not say how much it drops.
    width: units of the first layer, halved at each of the next three.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import Normalise, dense, flatten, normalise

    inputs = keras.Input(shape)
    x = flatten(Normalise()(inputs))
    for halving in range(4):
        x = normalise(dense(x, width >> halving), norm)
        x = layers.Dropout(dropout)(layers.Activation("gelu")(x))
    return keras.Model(inputs, dense(x, outputs), name="mlp")
