"""A trained learner as one Keras model: raw pixels in, probabilities out, and nothing needed beside it.

Import this after `fewshot.backend.start`.
"""

import keras
from keras import layers

from fewshot.backbones.features import PIXELS, network, parse
from fewshot.baselines.dense import as_dense
from fewshot.errors import UsageError
from fewshot.learners.estimator import EstimatorLearner
from fewshot.learners.keras_network import KerasLearner, Learner
from fewshot.models.layers import HalfPrecision, Mirror, Temperature


def source(learner: Learner) -> KerasLearner | EstimatorLearner:
    """Return the learner whose predictions a learner's are; `UsageError` where they are no network's.

    A learner that trains another, its `base`, on more images predicts as that one does.
    """
    while not isinstance(learner, KerasLearner | EstimatorLearner):
        if not hasattr(learner, "base"):
            raise UsageError(
                f"a {type(learner).__name__} cannot be exported: only networks and linear estimators, on "
                "pixels or on features, become one Keras model"
            )
        learner = learner.base
    return learner


def model(learner: Learner, shape: tuple[int, int, int], temperature: float = 1.0) -> keras.Model:
    """Return what `learner.predict` does to images of `shape`, then calibrated by `temperature`.

    The model takes pixels (N, *shape) from 0 to 255, integers or floats, and returns probabilities
    (N, classes), float32. All that is averaged, members and mirror images, is averaged inside.
    """
    learner = source(learner)
    mirror = learner.recipe.mirror if isinstance(learner, KerasLearner) else learner.mirror
    inputs = keras.Input(shape, name="pixels")
    views = [inputs, Mirror(name="mirror")(inputs)] if mirror else [inputs]
    if learner.features != PIXELS:
        seen = _features(learner.features, shape)
        views = [seen(view) for view in views]
    heads = _heads(learner, views[0].shape[1:])
    answers = [layers.Softmax()(head(view)) for head in heads for view in views]
    outputs = layers.Average(name="average")(answers) if len(answers) > 1 else answers[0]
    if temperature != 1:
        outputs = Temperature(temperature, name="temperature")(outputs)
    return keras.Model(inputs, outputs, name="fewshot")


def _features(text: str, shape: tuple[int, int, int]) -> keras.Model:
    """Return the backbones side by side: what `fewshot.backbones.features.extract` does."""
    inputs = keras.Input(shape)
    bodies = [_named(network(term, shape), f"backbone_{i}") for i, term in enumerate(parse(text))]
    rows = [body(inputs) for body in bodies]
    joined = layers.Concatenate()(rows) if len(rows) > 1 else rows[0]
    return keras.Model(inputs, HalfPrecision()(joined), name="features")


def _heads(learner: KerasLearner | EstimatorLearner, seen: tuple[int, ...]) -> list[keras.Model]:
    """Return the models from pixels or features to logits; the learner predicts the mean of their softmax."""
    if isinstance(learner, KerasLearner):
        return [_named(member, f"member_{i}") for i, member in enumerate(learner.members())]
    inputs = x = keras.Input(seen)
    if len(seen) == 3:
        x = layers.Flatten()(layers.Rescaling(1 / 255)(x))  # `fewshot.baselines.rows`
    kernel, bias = as_dense(learner.fitted_estimator, x.shape[-1])
    dense = layers.Dense(len(bias), name="linear")
    head = keras.Model(inputs, dense(x), name="estimator")
    dense.set_weights([kernel, bias])
    return [head]


def _named(model: keras.Model, name: str) -> keras.Model:
    """Return the model under another name: one model has no two parts of the same.

    Layers lose underscores before their names (a port's layers are called as its weights are): TensorFlow
    saves no such names.
    """
    if any(layer.name.startswith("_") for layer in model.layers):

        def renamed(layer):
            return type(layer).from_config(layer.get_config() | {"name": layer.name.lstrip("_")})

        found = keras.models.clone_model(model, clone_function=renamed)
        found.set_weights(model.get_weights())
        model = found
    return keras.Model(model.input, model.output, name=name)
