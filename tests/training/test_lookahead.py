"""Lookahead, what updates are given, and the other fields of the recipes `speedrun` and `speedrun-sgd`."""

from dataclasses import replace

import numpy as np
import pytest

from fewshot.augment.offline import Examples
from fewshot.errors import UsageError
from fewshot.learners.keras_network import KerasLearner
from fewshot.training.engine import Engine
from fewshot.training.recipe import NO_STEP, Recipe, recipes

pytestmark = pytest.mark.usefixtures("started")

RECIPE = Recipe(updates=7, learning_rate=0.05, lookahead=3)


def test_what_updates_are_given():
    recipe = replace(RECIPE, whitening_rate=6.0, batch=50)  # two updates an epoch
    rate, whitening, share = recipe.given(100).T
    assert np.allclose(rate, 0.05)
    assert np.allclose(whitening, [6, 5, 4, 3, 2, 1, 0])  # to zero over three epochs
    moves = [0.95**3 * (t / 7) ** 3 for t in (3, 6)]
    assert np.allclose(share, [NO_STEP, NO_STEP, moves[0], NO_STEP, NO_STEP, moves[1], NO_STEP])
    assert Recipe().given(100).shape == (100, 1)


def test_lookahead_by_hand(task):
    """Weights and BatchNorm's statistics: slow ones, told step by step from trainings that stop there."""
    engine = Engine("baseline:norm=batch,width=4", RECIPE.compiled(), task.train.image_shape, 10, 0)
    labels = np.eye(10, dtype=np.float32)[task.train.y % 10]
    examples = Examples(task.train.x, labels)
    placed = engine.loop.place((examples.x, examples.targets))
    engine.begin(examples, 0)
    network = engine.network.variables
    slow = [variable.numpy() for variable in network]
    everything = np.arange(100, dtype=np.int32)
    for given in RECIPE.given(100):
        plain = [variable.numpy() for variable in network]
        state = [variable.numpy() for variable in engine._state()]
        engine.loop.run(placed, [everything], np.float32([[given[0], NO_STEP]]))  # as if without
        fast = [variable.numpy() for variable in network]
        assert not np.array_equal(plain[0], fast[0])
        for variable, value in zip(engine._state(), state, strict=True):
            variable.assign(value)
        engine.loop.run(placed, [everything], given[None])
        share = given[1]
        if share >= 0:
            slow = [share * s + (1 - share) * f for s, f in zip(slow, fast, strict=True)]
            fast = slow
        for variable, value in zip(network, fast, strict=True):
            assert np.allclose(variable.numpy(), value, atol=1e-6), variable.path
    engine.average()
    for variable, value in zip(network, slow, strict=True):
        assert np.allclose(variable.numpy(), value, atol=1e-6)


def test_turns_mirror_a_half_and_then_the_other():
    """Each image is seen as it is and mirrored in any two epochs that follow; about a half each time."""
    turned = np.random.default_rng(0).random(90) < 0.5
    batches = Recipe(batch=40).batches(90, np.random.default_rng(0), turned=turned)
    epochs = [np.concatenate([next(batches) for _ in range(3)]) for _ in range(4)]
    for epoch, places in enumerate(epochs):
        assert sorted(places % 90) == list(range(90))
        expected = turned[places % 90] ^ (epoch % 2 == 1)
        assert np.array_equal(places >= 90, expected)


def test_an_image_of_the_other_turn_is_its_mirror_image(task):
    """The losses at positions of the second half are those of mirrored images."""
    recipe = Recipe(online="flip-in-turn", updates=1)
    engine = Engine("baseline:width=4", recipe.compiled(), task.train.image_shape, 10, 0)
    targets = np.eye(10, dtype=np.float32)[task.train.y % 10]
    losses = []
    for x, first in ((task.train.x, 100), (task.train.x[:, :, ::-1], 0), (task.train.x, 0)):
        engine.reset(0)
        placed = engine.loop.place((np.ascontiguousarray(x), targets))
        index = np.arange(first, first + 100, dtype=np.int32)
        losses.append(float(engine.loop.run(placed, [index], recipe.given(100))[0][0]))
    assert losses[0] == losses[1] != losses[2]


def test_the_last_batch_left_out():
    recipe = Recipe(batch=40, epochs=2, drop_last=True)
    batches = recipe.batches(90, np.random.default_rng(0))
    assert [len(next(batches)) for _ in range(4)] == [40] * 4
    assert (recipe.steps(90), recipe.images_seen(90)) == (4, 160)
    assert recipe.steps(30) == 2  # fewer than a batch are one
    assert recipe.images_seen(30) == 60
    assert len(next(recipe.batches(30, np.random.default_rng(0)))) == 30


def test_the_rate_of_whitening_biases(task):
    """Theirs alone follows it: all but zero, they stay, and other biases move."""
    recipe = Recipe(updates=1, learning_rate=0.1, whitening_rate=1e-9)
    network = KerasLearner("airbench:width=4", recipe).fit(task.train, 0).members()[0]
    whitening, *others = (v.numpy() for v in network.trainable_variables if len(v.shape) == 1)
    assert np.abs(whitening).max() < 1e-6
    assert min(np.abs(bias).max() for bias in others) > 1e-3


def test_decay_for_kernels_alone():
    """Without gradients only kernels shrink, coupled or decoupled."""
    import keras

    from fewshot.training import optimizers

    for name in ("sgd", "adamw", "muon"):
        recipe = Recipe(optimizer=name, learning_rate=0.5, weight_decay=0.1, decay_kernels_only=True)
        variables = [keras.Variable(np.ones(shape, np.float32)) for shape in ((4, 3), (3,))]
        optimizer = optimizers.make(recipe)
        optimizer.build(variables)
        optimizer.apply([keras.ops.zeros(v.shape) for v in variables], variables)
        kernel, bias = (variable.numpy() for variable in variables)
        assert np.allclose(kernel, 0.95), name
        assert np.allclose(bias, 1), name


def test_half_precision_scales_its_gradients(task):
    """The losses are near float32's, and the weights, which updates change, stay in float32."""
    few, losses = task.train.take(np.arange(0, 100, 10)), {}
    for precision in ("float16", "float32"):
        learner = KerasLearner("baseline:width=2", Recipe(updates=3, precision=precision)).fit(few, 0)
        losses[precision] = learner.fitted.curve["loss"]
        assert {weights.dtype for weights in learner._members[0]} == {np.dtype("float32")}
    assert losses["float16"] != losses["float32"]
    assert np.allclose(losses["float16"], losses["float32"], rtol=0.01)


def test_six_views_by_hand(task):
    """A quarter for image and mirror image, an eighth for each of four shifted ones, on logits."""
    recipe = Recipe(epochs=2, tta_shift=1, tta_flip=True)
    learner = KerasLearner("baseline:width=4", recipe).fit(task.train, 0)
    x = task.test.x[:20]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    shifted = [padded[:, at : at + 16, at : at + 16] for at in (0, 2)]
    views = [x, x[:, :, ::-1], *shifted, *(view[:, :, ::-1] for view in shifted)]
    learner._engine.load(learner._members[0])
    logs = [np.log(learner._engine.predict(view)) for view in views]  # logits, but for a constant
    mean = np.average(logs, 0, [0.25, 0.25, *[0.125] * 4])
    expected = np.exp(mean) / np.exp(mean).sum(1, keepdims=True)
    assert np.allclose(learner.predict(x), expected, atol=1e-5)
    assert not np.allclose(learner.predict(x), np.average(np.exp(logs), 0), atol=1e-5)
    model = learner.keras_model(x.shape[1:])
    assert np.allclose(np.asarray(model(x)), expected, atol=1e-5)
    three = replace(learner, recipe=replace(recipe, tta_flip=False)).fit(task.train, 0)
    assert not np.allclose(three.predict(x), learner.predict(x), atol=1e-5)


def test_a_shift_that_leaves_nothing_is_refused():
    with pytest.raises(UsageError, match=r"tta_shift=16 moves images of 16×16 out of sight: it is below 16"):
        KerasLearner("baseline", Recipe(tta_shift=16)).check((16, 16, 3))
    with pytest.raises(UsageError, match="tta_shift is for networks on pixels"):
        KerasLearner("linear", Recipe(tta_shift=1), features="mobilenetv2:weights=random").check((16, 16, 3))


def test_the_records_recipes():
    """What the authors' code says of lengths and rates: 200 updates of 2000 images, 476 of 1024."""
    muon, sgd = recipes["speedrun"](), recipes["speedrun-sgd"]()
    assert (muon.steps(50_000), muon.images_seen(50_000)) == (200, 400_000)
    assert (sgd.steps(50_000), sgd.epoch_steps(50_000)) == (476, 48)
    rates = muon.given(50_000)
    assert rates[0].tolist() == pytest.approx([0.24, 106])
    assert rates[75, 1] == 0 < rates[74, 1]
    assert rates[-1, 0] == pytest.approx(0.24 / 200)
    # Of a sum over 2000 images .053 for biases and .67 for a head whose logits are divided by 256.
    rest = muon.learning_rate * muon.rest_scale
    assert 64 * rest == pytest.approx(0.053 * 2000, rel=1e-3)
    assert rest / 9**2 == pytest.approx(0.67 * 2000 / 256**2, rel=1e-3)
    assert rest * muon.weight_decay == pytest.approx(2e-6 * 2000, rel=1e-3)
    given = sgd.given(50_000)
    assert (given[4, 2], given[3, 2]) == (pytest.approx(0.95**5 * (5 / 476) ** 3), NO_STEP)
    assert given[0, 0] == pytest.approx(0.3)
    assert given[:, 0].max() == pytest.approx(1.5, rel=0.01)
