"""Networks from scratch: loss, optimisers, training, cross-validation."""

from dataclasses import replace

import numpy as np
import pytest

from fewshot.baselines.numpy_net import build, loss, nets
from fewshot.baselines.numpy_net.optimizers import optimizers
from fewshot.baselines.numpy_net.train import cross_validate, folds, one_hot, train
from fewshot.data import Dataset
from fewshot.errors import DivergedError, UsageError
from fewshot.training.recipe import Recipe

SHAPE = (8, 8, 3)
SHORT = Recipe(epochs=3, batch=25)


# Likelihood and loss


@pytest.mark.parametrize(
    ("second", "repeats", "expected"), [(0.8, 1, 0.36288), (0.9, 1, 0.40824), (0.8, 10, 0.00004)]
)
def test_the_likelihoods_of_the_lecture(second, repeats, expected):
    """Labels 0 1 0 1 1; 0.1, 0.8 (or 0.9), 0.2, 0.7, 0.9 are the probabilities of label 1."""
    ones = np.repeat([0.1, second, 0.2, 0.7, 0.9], repeats)
    probabilities = np.stack([1 - ones, ones], 1)
    targets = np.eye(2)[np.repeat([0, 1, 0, 1, 1], repeats)]
    likelihood = loss.likelihood(probabilities, targets)
    assert round(likelihood, 6) == expected
    assert loss.cross_entropy(probabilities, targets) == pytest.approx(-np.log(likelihood))
    mean, _ = loss.softmax_cross_entropy(np.log(probabilities), targets)
    assert len(targets) * mean == pytest.approx(-np.log(likelihood))


def test_a_class_without_probability_costs_nothing_where_it_is_not_true():
    assert loss.cross_entropy(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]])) == 0


@pytest.mark.usefixtures("started")
def test_softmax_cross_entropy_is_that_of_keras_for_large_logits_too():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    logits, targets = 100 * rng.normal(size=(6, 4)), rng.dirichlet(np.ones(4), 6)
    logits[0, 0] = 2000
    inputs = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        expected = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, inputs))
    found, gradient = loss.softmax_cross_entropy(logits, targets)
    assert found == pytest.approx(float(expected))
    assert np.abs(gradient - tape.gradient(expected, inputs)).max() < 1e-6
    assert np.allclose(loss.softmax(logits).sum(1), 1)


# Optimisers


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("changes", [{}, {"nesterov": True}, {"weight_decay": 0.0}, {"momentum": 0.0}])
@pytest.mark.parametrize("name", list(optimizers))
def test_optimizers_are_those_of_the_keras_networks(name, changes):
    import keras

    from fewshot.training.optimizers import make

    recipe = replace(Recipe(optimizer=name, learning_rate=0.1, weight_decay=0.5), **changes)
    rng = np.random.default_rng(0)
    ours = [rng.normal(size=(3, 2)), rng.normal(size=4)]
    theirs = [keras.Variable(weights, dtype="float64") for weights in ours]
    optimizer, expected = optimizers[name](ours, recipe), make(recipe)
    for rate in (0.1, 0.1, 0.02, 0.02, 0.02):
        gradients = [rng.normal(size=weights.shape) for weights in ours]
        optimizer.update(gradients, rate)
        expected.learning_rate = rate
        expected.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], theirs)
    tolerance = 1e-5 if name == "adam" else 1e-6  # Keras rounds Adam's constants to float32
    for weights, variable in zip(ours, theirs, strict=True):
        assert np.abs(weights - variable.numpy()).max() < tolerance


def test_adam_by_hand():
    """The first step is the rate, whatever the gradient; the second goes by both averages."""
    weights = np.array([1.0, 1.0])
    adam = optimizers["adam"]([weights], Recipe(weight_decay=0))
    adam.update([np.array([3.0, -0.01])], 0.1)
    assert weights == pytest.approx([0.9, 1.1], abs=1e-5)
    adam.update([np.array([1.0, -0.01])], 0.1)
    mean = (0.9 * 0.1 * 3 + 0.1 * 1) / (1 - 0.9**2)
    square = (0.999 * 0.001 * 9 + 0.001 * 1) / (1 - 0.999**2)
    assert weights == pytest.approx([0.9 - 0.1 * mean / square**0.5, 1.2], abs=1e-5)


# Networks and training


def few(n, classes=4, seed=0):
    """Return noise with labels: to be learnt by heart."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (n, *SHAPE)).astype(np.uint8)
    return Dataset(x, np.arange(n) % classes, tuple("abcdefgh"[:classes]))


def test_the_networks_are_those_of_the_report():
    sizes = {name: build(name, (32, 32, 3), 10, seed=0).size for name in nets}
    dense = [(3072 + 1) * 1024, (1024 + 1) * 512, (512 + 1) * 256, (256 + 1) * 10]
    deep = [(3072 + 1) * 2048, (2048 + 1) * 1024, sum(dense[1:3]), (256 + 1) * 128, (128 + 1) * 10]
    assert sizes == {
        "numpy-fc3": sum(dense),
        "numpy-fc5": sum(deep),
        "numpy-conv16": 28 * 16 + 145 * 16 + (16 * 16 * 16 + 1) * 10,
        "numpy-conv32": 28 * 32 + 289 * 32 + (16 * 16 * 32 + 1) * 10,
        "numpy-conv4": 28 * 32 + 289 * 32 + 289 * 64 + 577 * 64 + (8 * 8 * 64 + 1) * 10,
    }


def test_the_gradients_of_a_whole_network_are_finite_differences():
    data = few(6)
    network = build("numpy-conv4:norm=batch,activation=gelu,pool=average", SHAPE, 4, 0, "float64")
    network.standardise.observe(data.x)
    targets, rng = one_hot(data.y, 4), np.random.default_rng(0)

    def forward():
        return loss.softmax_cross_entropy(network.forward(data.x, training=True), targets)

    network.backward(forward()[1])
    gradients = network.gradients
    for weights, gradient in zip(network.parameters, gradients, strict=True):
        place = tuple(rng.integers(0, weights.shape))
        kept, ends = weights[place], []
        for moved in (kept + 1e-5, kept - 1e-5):
            weights[place] = moved
            ends.append(forward()[0])
        weights[place] = kept
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        *nets,
        "numpy-fc3:init=xavier",
        "numpy-fc3:activation=gelu,norm=batch",
        "numpy-conv4:norm=batch,pool=average",
    ],
)
def test_every_network_learns_eight_images_by_heart(name):
    data = few(8)
    network = build(name, SHAPE, 4, seed=0)
    curve = train(network, data.x, one_hot(data.y, 4), Recipe(epochs=25, weight_decay=0), seed=0)
    assert curve.loss[-1] < 0.2 * curve.loss[0]
    assert (network.predict(data.x).argmax(1) == data.y).all()
    assert all(weights.dtype == np.float32 for weights in network.parameters)


def test_switching_dropout_on_keeps_the_initial_weights():
    plain, dropped = (build(f"numpy-fc3:dropout={share}", SHAPE, 4, 0) for share in (0, 0.5))
    for one, other in zip(plain.parameters, dropped.parameters, strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(plain.parameters[0], build("numpy-fc3", SHAPE, 4, 1).parameters[0])


def test_progress_and_curve():
    data, seen = few(50), []
    network = build("numpy-conv16", SHAPE, 4, 0)
    targets = one_hot(data.y, 4)
    curve = train(network, data.x, targets, SHORT, 0, data, progress=lambda *step: seen.append(step))
    assert [step[:2] for step in seen] == [(update, 6) for update in range(1, 7)]
    assert curve.update == [1, 2, 3, 4, 5, 6]
    assert curve.loss[-1] == pytest.approx(np.mean([step[2] for step in seen[-2:]]))
    assert len(curve.held_out_loss) == 6
    probabilities = network.predict(data.x)[np.arange(50), data.y]
    assert curve.held_out_loss[-1] == pytest.approx(-np.log(probabilities).mean(), rel=1e-5)


def test_label_smoothing_leaves_the_true_class_its_share():
    data, found = few(8), []
    for smooth in (0.0, 0.4):
        network = build("numpy-conv16", SHAPE, 4, 0)
        recipe = Recipe(epochs=100, label_smoothing=smooth, weight_decay=0)
        train(network, data.x, one_hot(data.y, 4), recipe, 0)
        found.append(network.predict(data.x).max(1).mean())
    assert found == pytest.approx([1, 0.6 + 0.4 / 4], abs=0.02)


def test_a_loss_that_is_no_number_is_an_error_with_its_update():
    data = few(8)
    with pytest.raises(DivergedError, match=r"at update [1-9]\d* of 50"):
        train(
            build("numpy-fc3", SHAPE, 4, 0),
            data.x,
            one_hot(data.y, 4),
            Recipe(epochs=50, learning_rate=1e9),
            0,
        )


def test_a_pixel_that_is_no_number_is_found_before_training():
    x = few(8).x.astype(np.float32)
    x[3, 2, 1, 0] = np.nan
    with pytest.raises(UsageError, match="NaN"):
        train(build("numpy-fc3", SHAPE, 4, 0), x, one_hot(few(8).y, 4), SHORT, 0)


# Cross-validation


@pytest.mark.parametrize("stratified", [True, False])
@pytest.mark.parametrize("count", [2, 5, 23])
def test_folds_cover_everything_once(count, stratified):
    labels = np.random.default_rng(0).permutation([0] * 12 + [1] * 8 + [4] * 3)
    held_out = []
    for seen, unseen in folds(labels, count, 0, stratified):
        assert sorted([*seen, *unseen]) == list(range(23))
        assert len(unseen) in (23 // count, -(-23 // count))
        if stratified:
            for label, n in ((0, 12), (1, 8), (4, 3)):
                assert (labels[unseen] == label).sum() in (n // count, -(-n // count))
        held_out.extend(unseen)
    assert sorted(held_out) == list(range(23))
    first = [unseen.tolist() for _, unseen in folds(labels, count, 0, stratified)]
    assert [unseen.tolist() for _, unseen in folds(labels, count, 0, stratified)] == first
    assert [unseen.tolist() for _, unseen in folds(labels, count, 1, stratified)] != first


@pytest.mark.parametrize("count", [0, 1, 24])
def test_more_folds_than_images_or_too_few(count):
    with pytest.raises(UsageError, match=f"23 images make 2 to 23 folds. Received: {count}"):
        list(folds(np.zeros(23, int), count, 0))


def test_cross_validation_measures_each_part_with_a_network_that_never_saw_it(task):
    found = cross_validate("numpy-fc3", task.train, SHORT, 4, seed=0)
    assert sorted(np.concatenate([fold.held_out for fold in found])) == list(range(100))
    for fold in found:
        unseen = task.train.take(fold.held_out)
        right = fold.network.predict(unseen.x).argmax(1) == unseen.y
        assert fold.measured["accuracy"] == pytest.approx(100 * right.mean())
        assert fold.curve.update[-1] == 3 * 3  # 75 images in batches of 25
    assert np.mean([fold.measured["accuracy"] for fold in found]) > 80
