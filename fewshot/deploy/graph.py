"""A trained learner as one Keras model: raw pixels in, probabilities out, and nothing needed beside it.

Import this after `fewshot.backend.start`.
"""

import keras

from fewshot.learners.contract import Learner
from fewshot.models.layers import Temperature


def model(learner: Learner, shape: tuple[int, int, int], temperature: float = 1.0) -> keras.Model:
    """Return what `learner.predict` does to images of `shape`, then calibrated by `temperature`.

    The model takes pixels (N, *shape) from 0 to 255, integers or floats, and returns probabilities
    (N, classes), float32. All that is averaged, networks and mirror images, is averaged inside.
    """
    uncalibrated = learner.keras_model(shape)
    if temperature == 1:
        return uncalibrated
    outputs = Temperature(temperature, name="temperature")(uncalibrated.output)
    return keras.Model(uncalibrated.input, outputs, name="fewshot")
