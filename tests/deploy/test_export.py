"""Exported models: what the learner says, from raw pixels, with a card; and calibration."""

import copy
import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from scipy.special import softmax

from fewshot import backend
from fewshot.baselines import build, estimators, probabilities
from fewshot.baselines.dense import as_dense
from fewshot.data import Dataset
from fewshot.deploy import formats as converters
from fewshot.errors import FewshotError, UsageError
from fewshot.learners.contract import Learner
from fewshot.learners.estimator import EstimatorLearner
from fewshot.learners.keras_network import KerasLearner
from fewshot.stats import calibration
from fewshot.training.recipe import Recipe
from gan.learner import SyntheticLearner

pytestmark = pytest.mark.usefixtures("started", "quick", "tiny_backbone")

SHORT = Recipe(epochs=3, batch=10)
RANDOM = "tiny@48:weights=random"
LEARNERS = {
    "a network": KerasLearner(recipe=SHORT),
    "members and mirror": KerasLearner("compact:width=4", replace(SHORT, ensemble_size=2, tta_flip=True)),
    "views": KerasLearner("compact:width=4", replace(SHORT, tta_flip=True, tta_shift=1)),
    "a trained backbone": KerasLearner("tuned:backbone=tiny,weights=random", SHORT),
    "a head on two backbones": KerasLearner("hidden", SHORT, features="tiny@48+tiny@56:weights=random"),
    "an estimator on features": EstimatorLearner("ridge", features=RANDOM, tta_flip=True),
    "an estimator on pixels": EstimatorLearner("logistic"),
}


@pytest.fixture
def quick(monkeypatch):
    """Latencies of one call."""
    from fewshot.models import cost as summary

    monkeypatch.setattr(summary, "CALLS", 1)
    monkeypatch.setattr(summary, "SECONDS", 0)


def images(n, classes=3, size=48):
    """Noise on a picture of each class, in the classes b, c, …; nothing is in the class a."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (classes, size, size, 3))
    y = np.arange(n) % classes
    x = (pictures[y] + rng.integers(0, 256, (n, size, size, 3))) // 2
    return Dataset(x.astype(np.uint8), y + 1, tuple("abcdefgh"[: classes + 1]))


def export(learner, train, path, card=None, formats=("keras",)):
    from fewshot.deploy.export import export

    return export(learner, train, 0, path, card or {}, formats)


@pytest.fixture(scope="module")
def exported(tmp_path_factory, started, tiny_backbone):
    """Export learners, each once: kind → its file, of temperature 2, and the learner, fitted to the same."""
    folder, train = tmp_path_factory.mktemp("exported"), images(30)

    @functools.cache
    def kind_of(kind):
        path = folder / f"{kind}.keras"
        export(LEARNERS[kind], train, path, {"temperature": 2.0})
        return path, copy.copy(LEARNERS[kind]).fit(train.compact(), 0)

    return kind_of


@pytest.mark.parametrize("kind", LEARNERS)
def test_the_model_says_what_the_learner_says(kind, exported):
    path, learner = exported(kind)
    new = images(40)
    model = keras.saving.load_model(path)
    wanted = calibration.scaled(learner.predict(new.x), 2.0)
    found = backend.compile_forward(model)(new.x.astype(np.float32))
    assert found.shape == (40, 3)
    # Where features are rounded to half precision, one of them may fall on the other side.
    np.testing.assert_allclose(found, wanted, atol=1e-2 if LEARNERS[kind].features != "pixels" else 1e-4)
    np.testing.assert_allclose(found[:3], model(new.x[:3], training=False), atol=1e-3)
    assert np.ptp(found, axis=0).max() > 1e-3


PLAIN_KERAS = """
import sys
from pathlib import Path
import keras, numpy as np
for path in sorted(Path(sys.argv[1]).glob("*.keras")):
    model = keras.models.load_model(path)
    np.save(path.with_suffix(".npy"), model(np.load(Path(sys.argv[1]) / "images.npy"), training=False))
assert not [name for name in sys.modules if name.partition(".")[0] in ("fewshot", "gan")]
"""


def test_plain_keras_opens_the_models_in_safe_mode(exported, tmp_path):
    """In a process that never imports this package: every kind of learner, every layer of our own."""
    from fewshot.backbones.applications import KerasPixels
    from fewshot.backbones.layers import Pixels
    from fewshot.deploy.graph import standard
    from fewshot.models import layers

    x, learners = images(12).x, {}
    for kind in LEARNERS:
        path, learners[kind] = exported(kind)
        shutil.copy(path, tmp_path)
    of_ours = {
        "Pixels": Pixels((1, 2, 3), (4, 5, 6), bgr=True),
        "KerasPixels": KerasPixels("ResNet50"),
        "Normalise": layers.Normalise(),
        "Whiten": layers.Whiten(2),
        "Scale": layers.Scale(-0.3),
        "Mirror": layers.Mirror(),
        "Shifted": layers.Shifted(-2),
        "HalfPrecision": layers.HalfPrecision(),
        "Temperature": layers.Temperature(0.7),
        "LocalResponse": layers.LocalResponse(),
    }
    assert of_ours.keys() == _layers_of_ours()
    inputs = keras.Input(x.shape[1:])
    networks = {name: keras.Model(inputs, layer(inputs)) for name, layer in of_ours.items()}
    for name, network in networks.items():
        standard(network).save(tmp_path / f"{name}.keras")
    np.save(tmp_path / "images.npy", x)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = [sys.executable, "-c", PLAIN_KERAS, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    for kind, learner in learners.items():
        wanted = calibration.scaled(learner.predict(x), 2.0)
        np.testing.assert_allclose(np.load(tmp_path / f"{kind}.npy"), wanted, atol=1e-2)
    for name, network in networks.items():
        wanted = np.array(network(x, training=False))
        np.testing.assert_allclose(
            np.load(tmp_path / f"{name}.npy"), wanted, atol=1e-5 * np.abs(wanted).max()
        )


def _layers_of_ours():
    """Return the names of all layers that are registered with Keras."""
    found = keras.saving.get_custom_objects()
    kinds = [kind for name, kind in found.items() if name.startswith("fewshot>")]
    return {kind.__name__ for kind in kinds if issubclass(kind, keras.layers.Layer)}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", ["ridge:alpha=1", "logistic:c=1", "centroid"])
def test_linear_estimators_are_one_dense_layer(name, classes):
    rng = np.random.default_rng(1)
    y = np.arange(60) % classes
    rows = (rng.normal(size=(60, 12)) + y[:, None] * 0.5) * 10.0 ** rng.integers(-2, 2, 12)
    rows[:, 5] = 7  # of no variance
    estimator = build(name, 0).fit(rows, y)
    _, kernel, bias = as_dense(estimator, 12, estimators[name.partition(":")[0]].traits.get("dense"))
    wanted = probabilities(estimator, rows[::-1], classes)
    np.testing.assert_allclose(softmax(rows[::-1] @ kernel + bias, 1), wanted, atol=1e-4)
    assert np.ptp(wanted[:, 0]) > 0.1


@pytest.mark.parametrize("linear", [True, False])
def test_estimators_are_asked_not_known_by_name(linear):
    """Any steps that mix their inputs linearly, any classifier with coefficients; others are refused."""
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, Normalizer

    rng = np.random.default_rng(1)
    y = np.arange(60) % 3
    rows = rng.normal(size=(60, 12)) + y[:, None] * 0.5
    first = MinMaxScaler() if linear else Normalizer("l1")
    estimator = make_pipeline(first, PCA(5), LinearDiscriminantAnalysis()).fit(rows, y)
    if not linear:
        with pytest.raises(UsageError, match="Normalizer cannot be exported"):
            as_dense(estimator, 12)
        one_vs_rest = OneVsRestClassifier(LogisticRegression()).fit(rows, y)
        one_vs_rest.coef_ = np.concatenate([part.coef_ for part in one_vs_rest.estimators_])
        one_vs_rest.intercept_ = np.concatenate([part.intercept_ for part in one_vs_rest.estimators_])
        with pytest.raises(UsageError, match="OneVsRestClassifier cannot be exported"):
            as_dense(one_vs_rest, 12)  # coefficients, but no softmax
        return
    _, kernel, bias = as_dense(estimator, 12)
    np.testing.assert_allclose(softmax(rows @ kernel + bias, 1), estimator.predict_proba(rows), atol=1e-4)


def test_the_card(tmp_path):
    train = images(31)
    given = {"method": "mine", "expected": {"accuracy": 95.1, "interval": [93.0, 97.2]}, "temperature": 2.0}
    card = export(EstimatorLearner("ridge"), train, tmp_path / "deep" / "model.keras", given)
    assert json.loads((tmp_path / "deep" / "model.json").read_text()) == card
    assert {file.name for file in (tmp_path / "deep").iterdir()} == {"model.keras", "model.json"}
    assert given.items() <= card.items()
    assert (card["classes"], card["images"], card["image_size"]) == (["b", "c", "d"], [11, 10, 10], 48)
    assert card["versions"].keys() >= {"fewshot", "keras", "scikit-learn"}
    assert card["learner"]["estimator"] == "ridge"
    assert card["formats"]["keras"]["max_difference"] < 1e-4
    other = replace_label(train)
    assert export(EstimatorLearner("ridge"), other, tmp_path / "other.keras")["data"] != card["data"]


def replace_label(train):
    return replace(train, y=np.r_[train.y[1], train.y[1:]])


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_temperature_is_in_the_model_and_nothing_is_certain(temperature, tmp_path):
    train, learner = images(30), EstimatorLearner("logistic")
    export(learner, train, tmp_path / "model.keras", {"temperature": temperature})
    found = keras.saving.load_model(tmp_path / "model.keras")(train.x)
    wanted = calibration.scaled(learner.fit(train.compact(), 0).predict(train.x), temperature)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.max(found) < 1 - calibration.DOUBT / 2


@pytest.mark.skipif(backend.name() != "tensorflow", reason="TensorFlow writes them")
def test_other_formats_say_the_same(tmp_path):
    learner = EstimatorLearner("ridge", features=RANDOM)
    card = export(learner, images(12), tmp_path / "model.keras", formats=("saved_model", "tflite"))
    for name in ("saved_model", "tflite"):
        assert card["formats"][name]["max_difference"] < 1e-3, card["formats"][name]
        assert card["formats"][name]["latency_ms"] > 0
        assert (tmp_path / f"model.{name}").exists()


@pytest.mark.skipif(backend.name() != "tensorflow", reason="TensorFlow writes it")
def test_onnx_says_the_same(tmp_path):
    for package in converters.converters["onnx"].traits["packages"]:
        pytest.importorskip(package)
    card = export(EstimatorLearner("ridge"), images(12), tmp_path / "model.keras", formats=["onnx"])
    assert card["formats"]["onnx"]["max_difference"] < 1e-4
    assert (tmp_path / "model.onnx").exists()


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(converters.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"onnx needs tf2onnx, .*: pip install 'fewshot-testbed\[export\]'"):
        export(EstimatorLearner("ridge"), images(12), tmp_path / "model.keras", formats=["onnx"])
    assert not list(tmp_path.iterdir())


def test_a_format_that_fails_is_noted_and_the_rest_stays(tmp_path, monkeypatch):
    def fail(name, model, path):
        path.write_text("half")
        raise FewshotError("no such form")

    monkeypatch.setattr(converters, "write", fail)
    card = export(EstimatorLearner("ridge"), images(12), tmp_path / "model.keras", formats=["tflite"])
    assert card["formats"]["tflite"] == {"error": "no such form"}
    assert {file.name for file in tmp_path.iterdir()} == {"model.keras", "model.json"}


def test_a_model_that_says_something_else_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(EstimatorLearner, "predict", lambda self, x: np.full((len(x), 3), 1 / 3))
    (tmp_path / "model.keras").write_text("an earlier one")
    with pytest.raises(FewshotError, match="differs from the learner"):
        export(EstimatorLearner("ridge"), images(12), tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_text() == "an earlier one"
    assert len(list(tmp_path.iterdir())) == 1


class Oracle(Learner):
    """A learner that is no network."""


REFUSED = {
    "another learner": (lambda: Oracle(), {}, "a Oracle cannot be exported"),
    "a path": (lambda: EstimatorLearner("ridge"), {"path": "model.h5"}, "saved as NAME.keras"),
    "a format": (lambda: EstimatorLearner("ridge"), {"formats": ["tflit"]}, "did you mean 'tflite'"),
    "a class": (lambda: EstimatorLearner("ridge"), {"train": images(9, classes=1)}, "two classes or more"),
    "a small image": (lambda: KerasLearner(), {"train": images(9, size=8)}, "takes images from 13×13 on"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_exported_is_said_at_once(what, tmp_path):
    learner, changes, message = REFUSED[what]
    options = {"train": images(9), "path": "model.keras"} | changes
    with pytest.raises(UsageError, match=message):
        export(learner(), **options | {"path": tmp_path / options["path"]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fitted", [False, True])
def test_what_is_exported_is_checked_once_before_anything_is_trained(fitted, tmp_path, monkeypatch):
    from fewshot.deploy.export import save

    class Noting(EstimatorLearner):
        def check_export(self):
            assert fitted or not hasattr(self, "fitted")
            checked.append(self)

    checked: list[object] = []
    learner, train = Noting("ridge:alpha=1"), images(9).compact()
    if fitted:
        save(learner.fit(train, 0), train, tmp_path / "model.keras", {})
    else:
        export(learner, train, tmp_path / "model.keras")
    assert checked == [learner]


def test_an_estimator_that_is_not_linear_is_refused(tmp_path, monkeypatch):
    from sklearn.neighbors import KNeighborsClassifier

    monkeypatch.setattr("fewshot.baselines.build", lambda text, seed: KNeighborsClassifier(1))
    with pytest.raises(UsageError, match="KNeighborsClassifier cannot be exported"):
        export(EstimatorLearner("ridge"), images(9), tmp_path / "model.keras")


def test_names_that_tensorflow_does_not_save_are_changed():
    from fewshot.learners.inputs import named

    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="_blocks.0._fc")(inputs))
    found = named(model, "renamed")
    assert [layer.name for layer in found.layers[1:]] == ["blocks.0._fc"]
    assert np.array_equal(found(np.eye(3)), model(np.eye(3)))


@pytest.mark.parametrize("base", [EstimatorLearner("ridge"), KerasLearner(recipe=SHORT)])
def test_a_wrapper_is_exported_as_what_it_trains(base):
    wrapper = SyntheticLearner(base.fit(images(12, size=32).compact(), 0))
    wrapper.check_export()
    model = wrapper.keras_model((32, 32, 3))
    new = images(6, size=32).x
    np.testing.assert_allclose(model(new, training=False), base.predict(new), atol=1e-4)
    with pytest.raises(UsageError, match="a Oracle cannot be exported"):
        SyntheticLearner(Oracle()).check_export()
