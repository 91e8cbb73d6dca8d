"""Fine-tuning a backbone in the testbed: which layers move, and how far."""

import numpy as np
import pytest

from fewshot.errors import UsageError
from fewshot.learners.estimator import EstimatorLearner
from fewshot.learners.head_first import HeadFirstLearner
from fewshot.learners.keras_network import KerasLearner
from fewshot.methods.specification import parse
from fewshot.models import build
from fewshot.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("started")

SQUEEZENET = "tuned:backbone=squeezenet,size=48,weights=random"
TEXT = "tuned:backbone=stack,size=24,weights=random"


@pytest.fixture(scope="module", autouse=True)
def stack(started):
    """A backbone "stack" of four convolutions, each with its norm: it compiles in no time."""
    from fewshot.backbones import backbones

    @backbones.register("stack", size=24, least_size=8, top=False)
    def stack(x, top):
        import keras

        from fewshot.backbones.layers import Pixels, conv, norm, relu6

        x = Pixels((127.0,) * 3, (128.0,) * 3)(x)
        for number, (strides, padding) in enumerate(((2, "valid"), (1, 1), (2, 1), (1, 1)), start=1):
            x = relu6(norm(conv(x, f"conv{number}", 8, 3, strides, padding), f"bn{number}"))
        return keras.layers.GlobalAveragePooling2D()(x)

    yield
    backbones.remove("stack")


def moved(task, text, **recipe):
    """Return how far each layer's weights move in one update of a decay-free recipe, by the layer's name."""
    recipe = Recipe(updates=1, weight_decay=0, **recipe)
    learner = KerasLearner(text, recipe).fit(task.train, 0)
    after = learner._members[0]
    learner._engine.reset(0)
    pairs = zip(learner._engine.network.variables, learner._engine.weights(), after, strict=True)
    return [(variable.path, float(np.abs(new - old).max())) for variable, old, new in pairs]


def test_the_rates_fall_from_the_head_to_the_first_layer(task):
    """Twice the pace is twice the way, from the same gradient."""
    even, falling = (moved(task, f"{TEXT},fade={fade}") for fade in (1.0, 0.1))
    ratios = [way / whole for (path, whole), (_, way) in zip(even, falling, strict=True) if "kernel" in path]
    assert len(ratios) == 5
    assert ratios[0] == pytest.approx(0.1, rel=1e-3)
    assert ratios[-1] == pytest.approx(1)
    assert ratios == sorted(ratios)


def test_the_last_layers_alone(task):
    ways = moved(task, f"{SQUEEZENET},last=2")
    trained = [path.split("/")[0] for path, way in ways if way and "kernel" in path]
    assert len(trained) == 3
    assert trained[:2] == ["fire9.expand1x1", "fire9.expand3x3"]


def test_records_tell_weights_apart(tmp_path):
    path = tmp_path / "own.pth"
    path.write_bytes(b"one")
    text = f"tuned:backbone=squeezenet,weights={path}"
    first = KerasLearner(text).describe()
    path.write_bytes(b"two")
    assert KerasLearner(text).describe() != first
    assert KerasLearner(SQUEEZENET).describe()["pretrained"] == "random 1"
    assert "pretrained" not in KerasLearner().describe()
    with pytest.raises(UsageError, match="did you mean 'squeezenet'"):
        KerasLearner("tuned:backbone=squeezenett").describe()


def test_a_small_stem_is_new_and_learns_at_the_head_s_rate(task):
    """All else keeps its weights, and sees maps twice as large."""
    whole, small = (build(f"{TEXT},stem={stem}", (32, 32, 3), 2) for stem in ("imagenet", "cifar"))
    assert small.get_layer("conv1").kernel.shape == (3, 3, 3, 8)
    assert small.get_layer("conv1").output.shape[1] == 24 > whole.get_layer("conv1").output.shape[1]
    ways = moved(task, f"{TEXT},stem=cifar,last=2")
    trained = [path.split("/")[0] for path, way in ways if way and "kernel" in path]
    assert trained[:3] == ["conv1", "conv3", "conv4"]


def test_batch_statistics_stay(task):
    ways = moved(task, TEXT)
    statistics = [way for path, way in ways if "moving" in path or "gamma" in path or "beta" in path]
    assert len(statistics) == 4 * 4
    assert not any(statistics)
    assert all(way for path, way in ways if "kernel" in path)


def test_a_seed_repeats_to_the_last_digit(task):
    def probabilities(seed):
        return KerasLearner(TEXT, Recipe(updates=2)).fit(task.train, seed).predict(task.test.x[:50])

    first = probabilities(0)
    assert not np.array_equal(probabilities(1), first)
    assert np.array_equal(probabilities(0), first)


@pytest.mark.parametrize("head", ["logistic-cv", "lda"])
def test_the_head_comes_first(task, head):
    """Before anything is trained the network says what the head says that was fitted to frozen features."""
    still = KerasLearner(TEXT, Recipe(updates=1, learning_rate=1e-12, weight_decay=0))
    learner = HeadFirstLearner(still, head_first=head).fit(task.train, 0)
    alone = EstimatorLearner(head, features="stack@24:weights=random").fit(task.train, 0)
    np.testing.assert_allclose(learner.predict(task.test.x[:50]), alone.predict(task.test.x[:50]), atol=2e-3)
    assert learner.feature_seconds(10) == 0
    assert not learner.shared()


def test_a_method_s_head_comes_first():
    specification = parse(f"{TEXT},last=3,head_first=ridge-gcv,learning_rate=0.001")
    learner = specification.learner()
    assert learner == HeadFirstLearner(
        KerasLearner(f"{TEXT.replace('stack,size=24', 'stack,last=3,size=24')}", Recipe(learning_rate=0.001)),
        head_first="ridge-gcv",
    )
    assert parse(str(specification)) == specification
    with pytest.raises(UsageError, match="did you mean 'ridge-gcv'"):
        parse(f"{TEXT},head_first=ridge-gvc")


@pytest.mark.parametrize("network", ["baseline", f"{TEXT},stem=cifar"])
def test_a_head_comes_first_where_features_are_what_it_sees(network):
    with pytest.raises(UsageError, match="pretrained backbones"):
        HeadFirstLearner(KerasLearner(network)).check((32, 32, 3))
    with pytest.raises(UsageError, match="is for networks"):
        HeadFirstLearner(EstimatorLearner("ridge"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("backbone=squeezenett", "did you mean 'squeezenet'"),
        ("backbone=keras/MobileNetV2", "use it frozen"),
        ("size=20", "from 48×48 on"),
        ("fade=0", "fade wants a number above 0"),
        ("last=40", "has 25 convolutions to train. Received: last=40"),
    ],
)
def test_unfit_switches(change, message):
    with pytest.raises(UsageError, match=message):
        build(
            f"tuned:weights=random,{change}" + ("" if "backbone" in change else ",backbone=squeezenet"),
            (32, 32, 3),
            2,
        )
