"""What learners see of images: pixels or features, as they are and mirrored; the same as Keras models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.augment.offline import expand, mixes
from fewshot.backbones.features import PIXELS, extract, network, parse
from fewshot.baselines.scales import Scale
from fewshot.data.protocols import Task
from fewshot.errors import UsageError

if TYPE_CHECKING:
    import keras


def seen(features: str, x: np.ndarray) -> np.ndarray:
    """Return what a network sees of images."""
    return x if features == PIXELS else extract(features, x)


def views(x: np.ndarray, flip: bool) -> list[np.ndarray]:
    """Return what predictions of images are averaged over: the images, and their mirror images if asked."""
    return [x, x[:, :, ::-1]] if flip else [x]


def check_copies(offline: str) -> None:
    """Raise `UsageError` for an augmentation of which there are no images to compute features of."""
    if mixes(offline):
        raise UsageError(f"'{offline}' averages images in the graph: that is for networks on pixels")


def prepare_features(task: Task, features: str, offline: str, flip: bool, epochs: int | None = None) -> None:
    """Compute the features of a task's images, training and held-out, and keep them."""
    for x in (expand(task.train, offline, task.seed, epochs).x, *views(task.test.x, flip)):
        extract(features, x)


def averaged_model(
    heads: Sequence[keras.Model], shape: tuple[int, int, int], features: str, flip: bool, shift: int = 0
) -> keras.Model:
    """Return the `keras.Model` from pixels to the mean of the heads' softmax over views of the images.

    heads: `keras.Model`s from pixels, or from `features`, to logits; the parts of an ensemble. shift: of
    pixels; each head's logits are then averaged over all views (`fewshot.models.views.over_views`).
    """
    import keras
    from keras import layers

    from fewshot.models.layers import Mirror

    if shift:
        from fewshot.models.views import over_views

        heads, flip = [over_views(head, shift, flip) for head in heads], False
    inputs = keras.Input(shape, name="pixels")
    parts = [inputs, Mirror(name="mirror")(inputs)] if flip else [inputs]
    if features != PIXELS:
        backbones = _features(features, shape)
        parts = [backbones(part) for part in parts]
    members = [named(head, f"member_{i}") for i, head in enumerate(heads)]
    answers = [layers.Softmax()(head(part)) for head in members for part in parts]
    outputs = layers.Average(name="average")(answers) if len(answers) > 1 else answers[0]
    return keras.Model(inputs, outputs, name="fewshot")


def _features(text: str, shape: tuple[int, int, int]) -> keras.Model:
    """Return the backbones side by side: what `fewshot.backbones.features.extract` does."""
    import keras
    from keras import layers

    from fewshot.models.layers import HalfPrecision

    inputs = keras.Input(shape)
    bodies = [named(network(term, shape), f"backbone_{i}") for i, term in enumerate(parse(text))]
    rows = [body(inputs) for body in bodies]
    joined = layers.Concatenate()(rows) if len(rows) > 1 else rows[0]
    return keras.Model(inputs, HalfPrecision()(joined), name="features")


def named(model: keras.Model, name: str) -> keras.Model:
    """Return the model under another name: one model has no two parts of the same.

    Layers lose underscores before their names (a port's layers are called as its weights are): TensorFlow
    saves no such names.
    """
    import keras

    if any(layer.name.startswith("_") for layer in model.layers):

        def renamed(layer: keras.Layer) -> keras.Layer:
            return type(layer).from_config(layer.get_config() | {"name": layer.name.lstrip("_")})

        clone = keras.models.clone_model(model, clone_function=renamed)
        clone.set_weights(model.get_weights())
        model = clone
    return keras.Model(model.input, model.output, name=name)


def folded(
    scale: Scale, kernel: np.ndarray, width: int, name: str
) -> tuple[Callable[[Any], Any], np.ndarray, np.ndarray | float]:
    """Return what is left to do to features before a kernel, the kernel, and what is added to the bias.

    name: of the layers that do it, from symbolic features (N, width) to symbolic features.
    """
    from keras import layers

    if scale.kind == "affine":
        if scale.deviation is not None:
            kernel = kernel / scale.deviation[:, None]
        return (lambda x: x), kernel, 0.0 if scale.mean is None else -scale.mean @ kernel
    unit = layers.UnitNormalization(name=name)
    if scale.mean is None:
        return unit, kernel, 0.0
    # Takes its mean from its weights; in an inference nothing else is left of it.
    centred = layers.BatchNormalization(epsilon=1e-6, center=False, scale=False, name=f"{name}_mean")
    centred.build((None, width))
    centred.set_weights([scale.mean.astype(np.float32), np.full(width, 1 - 1e-6, np.float32)])
    return (lambda x: unit(centred(x, training=False))), kernel, 0.0
