"""Heads: what is trained on top of features that are given. They take images, too, as rows of pixels."""

from __future__ import annotations

from fewshot.models import networks
from fewshot.models.lenet import Norm
from fewshot.settings import Width


def _rows(inputs):
    from fewshot.models.layers import Normalise, flatten

    return flatten(Normalise()(inputs)) if len(inputs.shape) == 4 else inputs


@networks.register("linear", least_size=1, rows=True)
def linear(shape, outputs):
    """One dense layer: softmax regression."""
    import keras

    from fewshot.models.layers import dense

    inputs = keras.Input(shape)
    return keras.Model(inputs, dense(_rows(inputs), outputs), name="linear")


@networks.register("hidden", least_size=1, rows=True)
def hidden(shape, outputs, *, width: Width = 18, norm: Norm = "batch"):
    """The few-shot report's head: a hidden layer of `width` units with sigmoids (512 → 18 → 10).

    norm: the normalisation before the sigmoids; the report tried none, and batch.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import dense, normalise

    inputs = keras.Input(shape)
    x = normalise(dense(_rows(inputs), width), norm)
    return keras.Model(inputs, dense(layers.Activation("sigmoid")(x), outputs), name="hidden")
