"""What a recipe's fields do to training and prediction."""

from dataclasses import dataclass, fields, replace

import numpy as np
import pytest

from fewshot.errors import UsageError
from fewshot.learners.keras_network import KerasLearner
from fewshot.training.optimizers import optimizers
from fewshot.training.recipe import SETTINGS, Recipe, recipes, schedules, setting, settings_of

pytestmark = pytest.mark.usefixtures("started")


def test_a_field_cannot_be_declared_without_saying_whether_it_is_compiled_in():
    with pytest.raises(TypeError, match="compiled"):
        setting(1.0, "a new one")

    @dataclass(frozen=True)
    class Longer(Recipe):
        bare: float = 0.5

    with pytest.raises(TypeError, match=r"declared by setting\(…\), which asks what it needs: bare"):
        settings_of(Longer)


OTHER = {bool: True, str: "cosine", int: 7, float: 0.25, type(None): 3}


@pytest.mark.parametrize("name", list(SETTINGS))
def test_what_is_said_of_a_field_is_what_counts(name):
    """A compiled update keeps the fields that it depends on; help and range are there."""
    described, default = SETTINGS[name], getattr(Recipe(), name)
    others = [choice for choice in described.choices or () if choice != default]
    other = "flip" if name == "policy" else others[0] if others else OTHER[type(default)]
    changed = replace(Recipe(), **{name: other})
    assert (changed.compiled() != Recipe().compiled()) == described.compiled
    assert described.help
    if described.choices is not None:
        with pytest.raises(UsageError, match=f"unknown {name} 'nothing'"):
            replace(Recipe(), **{name: "nothing"})
    if described.range:
        with pytest.raises(
            UsageError, match=f"the recipe's {name} is {described.range.wanted}. Received: -1"
        ):
            replace(Recipe(), **{name: -1})


def test_the_engine_reads_no_field_that_it_was_not_compiled_for():
    """What a compiled update reads of its recipe is compiled in: else it would be the default's, silently."""
    import re
    from pathlib import Path

    from fewshot.training import engine, optimizers
    from fewshot.training.optimizers import muon

    modules = (engine, r"self\._recipe\.(\w+)"), (optimizers, r"recipe\.(\w+)"), (muon, r"recipe\.(\w+)")
    for module, pattern in modules:
        read = set(re.findall(pattern, Path(module.__file__).read_text(encoding="utf-8")))
        assert read <= {f.name for f in fields(Recipe)} | {"py", "recipe"}
        for name in read & set(SETTINGS):
            assert SETTINGS[name].compiled or name == "learning_rate", name  # the loop sets the rate


@pytest.mark.parametrize("name", list(schedules))
def test_the_learning_rate_is_the_highest(name):
    rates = Recipe(learning_rate=0.2, schedule=name, epochs=1000).rates(100)
    assert rates.dtype == np.float32
    assert rates.max() == pytest.approx(0.2)
    assert rates.min() >= 0


def test_the_schedules_by_hand():
    assert np.allclose(
        Recipe(learning_rate=1, schedule="cosine", epochs=4).rates(100), [1, 0.853553, 0.5, 0.146447]
    )
    one_cycle = Recipe(learning_rate=1, schedule="one-cycle", epochs=20).rates(100)
    assert one_cycle[0] == pytest.approx(1 / 25)
    assert one_cycle[3] == pytest.approx((1 + 1 / 25) / 2)  # half-way up
    assert one_cycle[6] == 1
    assert one_cycle[13] == pytest.approx(0.5)  # half-way down


def test_schedules_by_epoch_as_in_pytorch():
    """Two updates an epoch share a rate, as where PyTorch's scheduler steps after an epoch."""

    def rates(schedule, epochs):
        return Recipe(learning_rate=1, schedule=schedule, epochs=epochs, batch=50).rates(100)

    assert np.allclose(rates("linear", 4), [1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25])
    assert np.allclose(rates("exponential", 3), [1, 1, 0.95, 0.95, 0.9025, 0.9025])
    assert np.allclose(rates("step", 15)[[13, 14, 27, 28]], [1, 0.1, 0.1, 0.01])


def test_adagrad_by_hand():
    """w ← w − 0.1 g / √(Σ g²), PyTorch's with a decay of 0.5 in the gradient."""
    import keras

    from fewshot.training.optimizers import make

    weight = keras.Variable([2.0])
    optimizer = make(Recipe(optimizer="adagrad", learning_rate=0.1, weight_decay=0.5))
    w, total = 2.0, 0.0
    for gradient in (1.0, -3.0):
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [weight])
        g = gradient + 0.5 * w
        total += g * g
        w -= 0.1 * g / total**0.5
        assert float(weight.numpy()[0]) == pytest.approx(w, rel=1e-6)


@pytest.mark.parametrize("name", list(optimizers))
def test_every_optimizer_learns(task, name):
    learner = KerasLearner(recipe=Recipe(optimizer=name, epochs=30, batch=10)).fit(task.train, 0)
    assert learner.fitted.curve["loss"][-1] < 0.5 * learner.fitted.curve["loss"][0]


def test_label_smoothing_by_hand(task):
    """The first update's loss is (1 − s) × the cross-entropy + s × its mean over all labels."""
    plain = KerasLearner(recipe=Recipe(updates=1)).fit(task.train, 0)
    smooth = KerasLearner(recipe=Recipe(updates=1, label_smoothing=0.4)).fit(task.train, 0)
    plain._engine.reset(0)
    logs = -np.log(plain._engine.predict(task.train.x))
    own = logs[np.arange(100), task.train.y].mean()
    assert plain.fitted.curve["loss"][0] == pytest.approx(own, rel=1e-5)
    assert smooth.fitted.curve["loss"][0] == pytest.approx(0.6 * own + 0.4 * logs.mean(), rel=1e-5)


def test_ema_by_hand(task):
    """After k updates the average is a_k = 0.9 a_{k-1} + 0.1 w_k, from a_1 = w_1 on."""
    average = None
    for updates in (1, 2, 3):
        weights = KerasLearner(recipe=Recipe(updates=updates)).fit(task.train, 0)._members[0]
        average = [
            w if average is None else 0.9 * a + 0.1 * w
            for a, w in zip(average or weights, weights, strict=True)
        ]
    averaged = KerasLearner(recipe=Recipe(updates=3, ema=0.9)).fit(task.train, 0)._members[0]
    for ours, expected in zip(averaged, average, strict=True):
        assert np.allclose(ours, expected, atol=1e-6)


def test_the_curve_ends_with_the_average_that_predicts(task):
    learner = KerasLearner(recipe=Recipe(epochs=10, ema=0.9)).fit(task.train, 0, watch=task.test)
    right = (learner.predict(task.test.x).argmax(1) == task.test.y).mean()
    assert learner.fitted.curve["held_out_accuracy"][-1] == pytest.approx(100 * right)
    unwatched = KerasLearner(recipe=Recipe(epochs=10, ema=0.9)).fit(task.train, 0)
    assert np.array_equal(unwatched.predict(task.test.x), learner.predict(task.test.x))


def test_members_are_trained_from_other_seeds_and_averaged(task):
    learner = KerasLearner(recipe=Recipe(epochs=4, ensemble_size=3)).fit(task.train, 0)
    first = KerasLearner(recipe=Recipe(epochs=4)).fit(task.train, 0)
    assert (learner.fitted.updates, learner.fitted.images_seen) == (12, 1200)
    assert learner.fitted.parameters == 3 * first.fitted.parameters
    parts = []
    for weights in learner._members:
        learner._engine.load(weights)
        parts.append(learner._engine.predict(task.test.x))
    assert np.array_equal(parts[0], first.predict(task.test.x))
    assert not np.allclose(parts[0], parts[1])
    assert np.allclose(learner.predict(task.test.x), np.mean(parts, 0))


def test_mirror_predicts_the_same_for_an_image_and_its_mirror_image(task):
    learner = KerasLearner(recipe=Recipe(epochs=4, tta_flip=True)).fit(task.train, 0)
    straight, mirrored = (learner.predict(x) for x in (task.test.x, task.test.x[:, :, ::-1]))
    assert np.allclose(straight, mirrored, atol=1e-6)
    plain = KerasLearner(recipe=Recipe(epochs=4)).fit(task.train, 0)
    assert not np.allclose(plain.predict(task.test.x), straight, atol=1e-6)


@pytest.mark.parametrize("name", list(recipes))
def test_every_recipe_names_what_is_registered(name):
    from fewshot.augment import online

    recipe = recipes[name]()
    assert recipe.schedule in schedules
    assert online.versions(recipe.online)
