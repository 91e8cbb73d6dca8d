"""The layers from scratch: gradients against finite differences and against Keras, in float64."""

import numpy as np
import pytest

from fewshot.baselines.numpy_net import images, layers
from fewshot.baselines.numpy_net.images import AveragePooling, Convolution, MaxPooling, Standardise
from fewshot.baselines.numpy_net.layers import GELU, BatchNorm, Dense, Dropout, Flatten, ReLU
from fewshot.errors import UsageError

STEP = 1e-5  # of finite differences
IMAGES, ROWS = (3, 6, 7, 4), (5, 8)


def keras_layer(name, **settings):
    """Return the layer of Keras, made when it is called for."""

    def make():
        import keras

        return getattr(keras.layers, name)(dtype="float64", **settings)

    return make


def keras_gelu():
    import keras

    return keras.layers.Activation(lambda x: keras.activations.gelu(x, approximate=True), dtype="float64")


# Our layer, the one of Keras, the shape of a batch of inputs.
LAYERS = {
    "dense": (lambda: Dense(6), keras_layer("Dense", units=6), ROWS),
    "convolution": (
        lambda: Convolution(5),
        keras_layer("Conv2D", filters=5, kernel_size=3, padding="same"),
        IMAGES,
    ),
    "convolution 5×5": (
        lambda: Convolution(2, size=5),
        keras_layer("Conv2D", filters=2, kernel_size=5, padding="same"),
        IMAGES,
    ),
    "max pooling": (MaxPooling, keras_layer("MaxPooling2D"), IMAGES),  # the last column is cut
    "max pooling 3×3": (lambda: MaxPooling(3), keras_layer("MaxPooling2D", pool_size=3), IMAGES),
    "average pooling": (AveragePooling, keras_layer("AveragePooling2D", pool_size=2), IMAGES),
    "flatten": (Flatten, keras_layer("Flatten"), IMAGES),
    "relu": (ReLU, keras_layer("ReLU"), ROWS),
    "gelu": (GELU, keras_gelu, ROWS),
    "batch norm": (BatchNorm, keras_layer("BatchNormalization", momentum=0.9, epsilon=1e-5), ROWS),
    "batch norm of images": (
        BatchNorm,
        keras_layer("BatchNormalization", momentum=0.9, epsilon=1e-5),
        IMAGES,
    ),
    "standardise": (Standardise, keras_layer("Identity"), IMAGES),
}


def streams():
    return {name: np.random.default_rng(1) for name in ("init", "dropout")}


def built(make, shape):
    """Return the layer in float64, its parameters at random, and a batch of inputs."""
    rng = np.random.default_rng(0)
    layer = make()
    layer.build(shape[1:], streams(), "float64")
    for parameter in layer.parameters:
        parameter[...] = rng.normal(size=parameter.shape)
    return layer, rng.normal(size=shape)


def numeric(loss, array):
    """Return the gradient of `loss()` to an array, by moving each of its numbers up and down."""
    gradient = np.empty_like(array)
    for place in np.ndindex(array.shape):
        kept = array[place]
        ends = []
        for moved in (kept + STEP, kept - STEP):
            array[place] = moved
            ends.append(loss())
        array[place] = kept
        gradient[place] = (ends[0] - ends[1]) / (2 * STEP)
    return gradient


def check_differences(layer, x, forward):
    """Compare the gradients of the loss Σ weight · output, weights at random, with finite differences."""
    weight = np.random.default_rng(2).normal(size=forward().shape)
    passed = layer.backward(weight)
    gradients = [gradient.copy() for gradient in layer.gradients]
    for array, gradient in zip([x, *layer.parameters], [passed, *gradients], strict=True):
        assert gradient.shape == array.shape
        assert np.abs(gradient - numeric(lambda: (weight * forward()).sum(), array)).max() < 1e-6


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_finite_differences(name, monkeypatch):
    monkeypatch.setattr(images, "PATCHES_BYTES", 1)  # a convolution goes image by image
    make, _, shape = LAYERS[name]
    layer, x = built(make, shape)
    check_differences(layer, x, lambda: layer.forward(x, training=True))


def test_the_gradient_of_dropout_is_that_of_what_was_drawn():
    layer, x = built(lambda: Dropout(0.4), ROWS)

    def forward():
        layer.build(ROWS[1:], streams(), "float64")  # the same draw again
        return layer.forward(x, training=True)

    check_differences(layer, x, forward)


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_gradients_are_those_of_keras(name):
    import tensorflow as tf

    make, make_keras, shape = LAYERS[name]
    layer, x = built(make, shape)
    theirs = make_keras()
    theirs.build(shape)
    for variable, parameter in zip(theirs.trainable_variables, layer.parameters, strict=True):
        variable.assign(parameter)
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        expected = theirs(inputs, training=True)
        weight = np.random.default_rng(2).normal(size=expected.shape)
        loss = tf.reduce_sum(weight * expected)
    found = layer.forward(x, training=True)
    passed = layer.backward(weight)
    wanted = tape.gradient(loss, [inputs, *(v.value for v in theirs.trainable_variables)])
    assert found.dtype == passed.dtype == np.float64
    assert np.abs(found - expected.numpy()).max() < 1e-6
    for gradient, want in zip([passed, *layer.gradients], wanted, strict=True):
        assert np.abs(gradient - want.numpy()).max() < 1e-6
    # After a few batches the moving averages of BatchNorm are the same, too.
    for _ in range(3):
        layer.forward(2 * x + 1, training=True), theirs(2 * inputs + 1, training=True)
    assert np.abs(layer.forward(x) - theirs(inputs, training=False).numpy()).max() < 1e-6


@pytest.mark.usefixtures("started")
def test_gelu_is_close_to_the_exact_one():
    import keras

    x = np.linspace(-6, 6, 1001)
    exact = keras.ops.convert_to_numpy(keras.activations.gelu(x, approximate=False))
    assert np.abs(GELU().forward(x) - exact).max() < 1e-3


def test_max_pooling_of_equal_pixels_gives_the_gradient_to_the_first():
    layer = MaxPooling()
    x = np.array([[0, 0, 1, 3], [0, 0, 3, 2]], float).reshape(1, 2, 4, 1)
    assert layer.forward(x, training=True).ravel().tolist() == [0, 3]
    assert layer.backward(np.array([5.0, 7]).reshape(1, 1, 2, 1)).ravel().tolist() == [5, 0, 0, 7, 0, 0, 0, 0]


def test_dropout_keeps_the_mean_and_predictions_as_they_are():
    layer = Dropout(0.25)
    layer.build((1000,), streams(), np.float32)
    x = np.ones((100, 1000), np.float32)
    y = layer.forward(x, training=True)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert y.mean() == pytest.approx(1, abs=0.01)
    assert layer.forward(x) is x


def test_standardised_channels_have_mean_0_and_deviation_1():
    x = np.random.default_rng(0).integers(0, (256, 100, 30), (2500, 4, 5, 3)).astype(np.uint8)
    x[..., 2] = 77  # the same all over: no deviation to divide by
    layer = Standardise()
    layer.build(x.shape[1:], streams(), np.float32)
    layer.observe(x)
    y = layer.forward(x)
    assert y.dtype == np.float32
    assert np.allclose(y.mean((0, 1, 2), np.float64), 0, atol=1e-5)
    assert np.allclose(y.std((0, 1, 2), dtype=np.float64), [1, 1, 0], atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers(value):
    x = np.zeros((3, 4, 4, 3))
    x[1, 2, 3, 0] = value
    layer = Standardise()
    layer.build(x.shape[1:], streams(), np.float32)
    with np.errstate(invalid="ignore"), pytest.raises(UsageError, match="NaN"):
        layer.observe(x)


def test_xavier_and_he_have_the_variances_of_their_papers():
    rng = np.random.default_rng(0)
    xavier = layers.initial("xavier", 300, 500, (300, 500), rng)
    assert xavier.var() == pytest.approx(2 / 800, rel=0.02)
    assert abs(xavier).max() <= (6 / 800) ** 0.5  # uniform
    he = layers.initial("he", 300, 500, (300, 500), rng)
    assert he.var() == pytest.approx(2 / 300, rel=0.02)
    assert np.mean(abs(he) < he.std()) == pytest.approx(0.683, abs=0.01)  # normal
    convolution = Convolution(64)
    convolution.build((4, 4, 32), streams(), np.float32)
    weights, bias = convolution.parameters
    assert weights.var() == pytest.approx(2 / (9 * 32), rel=0.05)
    assert not bias.any()
