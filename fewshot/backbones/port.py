"""Arrays by name → the weights of a Keras model, whoever named them and in whatever order of axes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from fewshot.backbones.readers import Arrays, read
from fewshot.errors import FewshotError
from fewshot.wording import one_line

# What follows a layer's name in a file: in PyTorch; in Keras 2, TensorFlow.js and Flax; in Keras 1; in the
# Inception of FID.
ENDINGS = {
    "kernel": (".weight", "/kernel", "_W"),
    "bias": (".bias", "/bias", "_b"),
    "gamma": (".weight", "/gamma"),
    "beta": (".bias", "/beta", ".beta"),
    "moving_mean": (".running_mean", "/moving_mean", ".mean"),
    "moving_variance": (".running_var", "/moving_variance", ".var"),
}


def fill(model: keras.Model, arrays: Arrays, alias: Callable[[str], str] | None = None) -> None:
    """Give every layer of `model` its arrays; `ValueError` where one is missing or of another shape.

    alias: what the arrays may call a layer instead of its own name.
    """
    variables = [(layer, variable) for layer in model.layers for variable in layer.weights]
    values = [_value(layer, variable, arrays, alias) for layer, variable in variables]
    for (_, variable), value in zip(variables, values, strict=True):
        variable.assign(value)


def fill_from(model: keras.Model, path: Path, alias: Callable[[str], str] | None = None) -> None:
    """Give `model` the weights in a user's file; `FewshotError` where they do not fit."""
    arrays = read(path)
    try:
        if any(re.search(r"(^|/)vars/\d+$", name) for name in arrays):
            model.load_weights(path)  # Keras 3 wrote it, from such a model
        else:
            fill(model, arrays, alias)
    except ValueError as error:
        raise unfit(model, path, error) from error


def fill_as_keras(model: keras.Model, path: Path) -> None:
    """Give a model of `keras.applications` the weights in a user's file as Keras itself would."""
    read(path)  # refuses what is no weight file or more than arrays
    try:
        model.load_weights(path)
    except Exception as error:  # Keras raises whatever comes up
        raise unfit(model, path, error) from error


def unfit(model: keras.Model, path: Path, error: Exception) -> FewshotError:
    """Return the error for a file that holds the weights of something else."""
    return FewshotError(
        f"the weights in {path} do not fit the network '{model.name}': {one_line(error):.200}"
    )


def _value(layer, variable, arrays: Arrays, alias: Callable[[str], str] | None) -> np.ndarray:
    prefixes = [layer.name, alias(layer.name)] if alias else [layer.name]
    names = [prefix + ending for ending in ENDINGS[variable.name] for prefix in prefixes]
    name = next((name for name in names if name in arrays), None)
    if name is None:
        raise ValueError(f"it has no {names[0]}")
    value = arrays[name]
    if name.endswith(".weight"):
        value = _from_torch(layer, value)
    if value.shape != tuple(variable.shape):
        raise ValueError(f"its {name} has the shape {value.shape} instead of {tuple(variable.shape)}")
    return value


def _from_torch(layer, value: np.ndarray) -> np.ndarray:
    """Move the axes of a kernel: PyTorch has outputs, inputs, height, width."""
    if isinstance(layer, keras.layers.DepthwiseConv2D) and value.ndim == 4:
        return value.transpose(2, 3, 0, 1)
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
