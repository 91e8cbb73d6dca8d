"""One door for each kind of addition: a plugin file registers one of each, and all of them work.

Through the command line, in this process: trials run, keys carry the plugin's digest, what can be exported
is, and the report page shows it.
"""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from fewshot import registry
from fewshot.methods import plugins
from fewshot.report.plots import plots  # its registry is there before a plugin adds to it

pytestmark = pytest.mark.usefixtures("started")

PLUGIN = '''
from dataclasses import dataclass

import numpy as np

from fewshot.augment.offline import expansions
from fewshot.augment.online import Online, ops, policies
from fewshot.backbones import backbones
from fewshot.baselines import estimators
from fewshot.data.catalogue import datasets
from fewshot.data.dataset import Dataset, Splits
from fewshot.data.protocols import protocols
from fewshot.learners.contract import Fit, Learner, learners
from fewshot.models import networks
from fewshot.report.plots import plots
from fewshot.training.optimizers import coupled, optimizers
from fewshot.training.recipe import Recipe, recipes, schedules


@learners.register("door-learner")
@dataclass
class DoorLearner(Learner):
    """A kind of learner through the door: the share of every class, smoothed."""

    smoothing: float = 1.0

    def fit(self, train, seed, watch=None, checkpoint=None):
        counts = np.bincount(train.y, minlength=len(train.classes)) + self.smoothing
        self._shares = counts / counts.sum()
        curve = {"update": [], "loss": [], "accuracy": []}
        self.fitted = Fit(len(train), updates=0, images_seen=len(train), parameters=0, curve=curve)
        return self

    def predict(self, x):
        return np.tile(self._shares, (len(x), 1))


@networks.register("door-net", least_size=4)
def door_net(shape, outputs, *, width=4):
    """A network through the door."""
    import keras

    from fewshot.models.layers import Normalise

    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(width, 3, activation="relu")(Normalise()(inputs))
    return keras.Model(inputs, keras.layers.Dense(outputs)(keras.layers.GlobalMaxPooling2D()(x)))


@policies.register("door-invert")
class Invert(Online):
    """Invert half of the images."""

    def sample(self, n, shape):
        return (self.uniform((n, 1, 1, 1)) < 0.5,)

    def apply(self, x, y, inverted):
        return ops.where(inverted, 255 - x, x), y


@expansions.register("door-turn")
def door_turn():
    """Add each image upside down (2N)."""
    import albumentations as A

    return {"upside down": A.VerticalFlip(p=1)}


@backbones.register("door-eyes", size=16, least_size=8)
def door_eyes(x, top):
    """Eight random features."""
    import keras

    return keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, name="door_conv")(x / 255.0))


@estimators.register("door-linear")
def door_linear(*, alpha=1.0):
    """A linear estimator that this project does not know."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    return make_pipeline(MinMaxScaler(), RidgeClassifier(alpha))


@optimizers.register("door-lion")
def door_lion(recipe, **common):
    """Lion (arXiv 2302.06675)."""
    import keras

    return coupled(keras.optimizers.Lion)(recipe.learning_rate, **common)


@schedules.register("door-half")
def door_half(progress, epochs):
    """Half the rate in the second half."""
    return np.where(progress < 0.5, 1.0, 0.5)


@recipes.register("door-recipe")
def door_recipe():
    """Lion at half the rate, on inverted images."""
    return Recipe(
        optimizer="door-lion", schedule="door-half", online="door-invert", learning_rate=0.001, epochs=3
    )


@protocols.register("door-first", ways=None, seeds=2)
def door_first(protocol, splits, seed):
    """All classes, the shots in dataset order, the next six images held out."""
    labels = protocol.labels(splits, lambda count, ways: np.arange(count)[:ways])
    index = [np.flatnonzero(splits.train.y == label) for label in labels]
    train = np.concatenate([i[seed : seed + protocol.shots] for i in index])
    held_out = np.concatenate([i[-6:] for i in index])
    return labels, train, held_out, "train"


@plots.register("door-bars", caption="Bars of {methods}")
def door_bars(compared):
    """The mean accuracy of every method."""
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().bar([r.method for r in compared.results], [r.mean or 0 for r in compared.results])
    return figure


@datasets.register("door-blobs", protocol="door-first", ways=None, note="made in memory")
def door_blobs(data_dir):
    """Three brightnesses."""

    def make(scratch):
        rng = np.random.default_rng(0)
        y = np.repeat(np.arange(3), 30)
        x = (70 * y[:, None, None, None] + rng.integers(0, 60, (90, 16, 16, 3))).astype(np.uint8)
        return Splits("door-blobs", Dataset(x, y, ("dark", "grey", "light")))

    return [("memory", make)]
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch, own_cache):
    """The plugin's file; all that it registers is taken out again."""
    monkeypatch.setenv(plugins.VARIABLE, "")
    monkeypatch.setattr(plugins, "_loaded", {})
    registries = list(registry._registries.values())
    assert plots in registries
    before = [(each, dict(each._definitions)) for each in registries]
    path = tmp_path / "doors.py"
    path.write_text(PLUGIN)
    yield path
    for each, definitions in before:
        each._definitions = definitions


METHODS = (
    "door-net:width=6,recipe=door-recipe",
    "door-turn",
    "online:door-invert",
    "imagenet/door-eyes:weights=random,head=door-linear",
    "door-linear:alpha=2",
    "door-learner:smoothing=2",
)


def run(module, *args) -> None:
    assert module.main(list(map(str, args))) == 0, args


def test_one_of_each_from_a_plugin_end_to_end(plugin, tmp_path, capsys):
    from experiments import cnn, report

    out, stem = tmp_path / "results", f"doors.py {hashlib.sha256(PLUGIN.encode()).hexdigest()[:12]}"
    study = ("--plugin", plugin, "--data", "door-blobs", "--shots", 5, "--epochs", 2, "--seeds", 2)
    machine = ("--jobs", 1, "--threads", 1, "--device", "cpu", "--out", out)
    with_bars = replace(cnn.STUDY, plots=("accuracy", "door-bars"))
    run(with_bars, *study, *machine, "--method", *METHODS, "--json")
    document = json.loads(capsys.readouterr().out)
    assert {row["method"] for row in document["methods"]} >= set(METHODS)
    assert all(row["n"] == 2 for row in document["methods"])

    lines = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
    learners = {line["method"]: line["learner"] for line in lines}
    versions = {method: learners[method]["versions"] for method in METHODS}
    network, turn, inverted, eyes, linear, learner = (versions[method] for method in METHODS)
    for version in (
        network["network"],
        network["optimizer"],
        network["schedule"],
        network["online"]["door-invert"],
        turn["offline"]["door-turn"],
        inverted["online"]["door-invert"],
        eyes["estimator"],
        linear["estimator"],
        learner["learner"],
        learners[METHODS[3]]["features"][0]["version"][1],
        lines[0]["protocol"]["version"],
    ):
        assert version == f"1 of {stem}"
    assert {line["protocol"]["name"] for line in lines} == {"door-first"}
    assert all(line["status"] == "ok" for line in lines)
    assert len({line["key"] for line in lines}) == len(lines)

    run(report, out)
    page = (out / "report.html").read_text(encoding="utf-8").replace("<wbr>", "")
    for name in (*METHODS, "door-blobs", "door-first", stem, f"Bars of {len(METHODS) + 1} methods"):
        assert name in page, name
    assert (out / "cnn" / "door-bars.png").is_file()


def test_help_tells_of_all_of_it(plugin, capsys):
    from experiments import cnn

    with pytest.raises(SystemExit):
        cnn.main(["--plugin", str(plugin), "--help"])
    text = " ".join(capsys.readouterr().out.split()).replace("- ", "-")  # argparse breaks lines there
    for words in (
        "door-net",
        "door-turn",
        "door-linear",
        "door-recipe",
        "door-blobs (made in memory)",
        "door-first for door-blobs",
        "door-first: all classes, the shots in dataset order",
        "door-first: 2",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    "kind", ["networks", "policies", "expansions", "backbones", "estimators", "optimizers", "schedules"]
)
def test_each_is_refused_by_its_nearest_name(plugin, kind):
    from fewshot.augment import offline, online
    from fewshot.backbones import backbones
    from fewshot.baselines import estimators
    from fewshot.errors import UsageError
    from fewshot.models import networks
    from fewshot.training import optimizers, recipe

    plugins.load(plugin)
    registries = {
        "networks": (networks, "door-net"),
        "policies": (online.policies, "door-invert"),
        "expansions": (offline.expansions, "door-turn"),
        "backbones": (backbones, "door-eyes"),
        "estimators": (estimators, "door-linear"),
        "optimizers": (optimizers.optimizers, "door-lion"),
        "schedules": (recipe.schedules, "door-half"),
    }
    definitions, name = registries[kind]
    with pytest.raises(UsageError, match=f"did you mean '{name}'"):
        definitions[f"{name}x"]


def test_what_can_be_exported_is(plugin, tmp_path):
    from fewshot.data import DataSpec, open_splits, prepare
    from fewshot.deploy.export import export
    from fewshot.deploy.saved import load
    from fewshot.learners.estimator import EstimatorLearner
    from fewshot.learners.keras_network import KerasLearner
    from fewshot.training.recipe import recipes

    plugins.load(plugin)
    train = open_splits(prepare(DataSpec("door-blobs")).folder).train
    for learner in (
        KerasLearner("door-net", recipes["door-recipe"]()),
        EstimatorLearner("door-linear"),
        EstimatorLearner("door-linear", features="door-eyes:weights=random"),
    ):
        export(learner, train, 0, tmp_path / "model.keras", {"method": "mine"})
        probabilities = load(tmp_path / "model.keras").model(train.x.astype(np.float32))
        assert np.allclose(probabilities, learner.fit(train, 0).predict(train.x), atol=1e-2)


def test_a_network_that_is_registered_anew_is_trained_anew(task):
    """In a notebook: the cell is edited and run again; the compiled network is not the old one."""
    from fewshot.learners.keras_network import KerasLearner
    from fewshot.models import networks
    from fewshot.training.recipe import Recipe

    def cell(units: int) -> KerasLearner:
        source = (
            "@networks.register('door-cell')\ndef cell(shape, outputs):\n    import keras\n"
            "    inputs = keras.Input(shape)\n    x = keras.layers.Flatten()(inputs)\n"
            f"    x = keras.layers.Dense({units}, 'relu')(x)\n"
            "    return keras.Model(inputs, keras.layers.Dense(outputs)(x))\n"
        )
        exec(compile(source, f"<cell {units}>", "exec"), {"__name__": "__main__", "networks": networks})
        return KerasLearner("door-cell", Recipe(updates=1)).fit(task.train, 0)

    try:
        small, large = cell(2), cell(3)
        assert small.fitted.parameters < large.fitted.parameters
        small_again = cell(2)
        assert small_again.describe() == cell(2).describe()
        assert small_again.describe() != cell(3).describe()
        assert small_again.fitted.parameters == small.fitted.parameters
    finally:
        networks.remove("door-cell")
