"""A trained learner as one Keras model: raw pixels in, probabilities out, and nothing needed beside it.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fewshot.learners.contract import Learner
from fewshot.models.layers import Temperature


def model(learner: Learner, shape: tuple[int, int, int], temperature: float = 1.0) -> keras.Model:
    """Return what `learner.predict` does to images of `shape`, then `calibration.scaled` by `temperature`.

    The model takes pixels (N, *shape) from 0 to 255, integers or floats, and returns probabilities
    (N, classes), float32. All that is averaged, networks and mirror images, is averaged inside. It is made
    of Keras's own layers and operations alone: plain Keras opens it, in safe mode.
    """
    full = learner.keras_model(shape)
    outputs = Temperature(temperature, name="temperature")(full.output)
    return standard(keras.Model(full.input, outputs, name="fewshot"))


def standard(model: keras.Model) -> keras.Model:
    """Return the model without layers, and initialisers, of our own.

    A layer that offers `standard(x)` is replaced by what that does; all others are copied with their weights.
    """
    copies: dict[int, Any] = {}
    originals: dict[int, keras.layers.Layer] = {}

    def copy(layer: Any) -> Any:
        if hasattr(layer, "standard") or not isinstance(layer, keras.layers.Layer):  # an operation
            return layer
        if id(layer) not in copies:
            copies[id(layer)] = standard(layer) if isinstance(layer, keras.Model) else _copied(layer)
            originals[id(copies[id(layer)])] = layer
        return copies[id(layer)]

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if hasattr(layer, "standard"):
            return layer.standard(*args)
        outputs = layer(*args, **kwargs)
        original = originals.pop(id(layer), None)  # once, as it is built
        if original is not None and not isinstance(layer, keras.Model):
            layer.set_weights(_weights(original))
        return outputs

    return keras.models.clone_model(model, clone_function=copy, call_function=call)


def _weights(layer: keras.layers.Layer) -> list[np.ndarray]:
    """Return a layer's weights; matrices that were trained beside them are added to them."""
    if not any(getattr(part, "lora_enabled", False) for part in layer._flatten_layers()):
        return layer.get_weights()
    if not isinstance(layer, keras.layers.MultiHeadAttention):
        return [np.array(value) for value in (layer.kernel, layer.bias) if value is not None]
    parts = (layer.query_dense, layer.key_dense, layer.value_dense, layer.output_dense)
    return [np.array(value) for part in parts for value in (part.kernel, part.bias) if value is not None]


def _copied(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Return a new layer of the same settings; its initialisers are Keras's, for the weights come later."""
    config = layer.get_config()
    for name in config:
        if name.endswith("_initializer"):
            config[name] = "zeros"
    return type(layer).from_config(config)
