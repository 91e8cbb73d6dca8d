"""Predictions averaged over views of an image: shifted, mirrored, on logits.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

import keras
from keras import layers

from fewshot.models.layers import Mirror, Shifted


def over_views(network: keras.Model, shift: int, flip: bool) -> keras.Model:
    """Return the model from images to the mean of a network's logits over their views, in float32.

    shift: with views shifted by so many pixels up and left, and down and right, which together count as much
    as the images in their place. flip: with each view's mirror image (arXiv 2404.00498 has both, six views).
    """
    inputs = keras.Input(network.input_shape[1:])

    def mean(views):
        views = [*views, *(Mirror()(view) for view in views)] if flip else views
        answers = [network(view) for view in views]
        return layers.Average(dtype="float32")(answers) if len(answers) > 1 else answers[0]

    shifted = mean([Shifted(-shift)(inputs), Shifted(shift)(inputs)])
    outputs = layers.Average(dtype="float32", name="logits")([mean([inputs]), shifted])
    return keras.Model(inputs, outputs, name=f"{network.name}_views")
