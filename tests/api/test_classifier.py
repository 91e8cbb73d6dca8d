"""`FewShotClassifier`: scikit-learn's own checks, and what its users do with images."""

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import Brightness, forgetting
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import fewshot as fs
from fewshot.learners.contract import learners
from fewshot.models import cost, networks
from fewshot.stats import calibration

pytestmark = pytest.mark.usefixtures("started")


@pytest.fixture(autouse=True)
def forgotten():
    """A function or a learner that is given as a method is registered."""
    with forgetting(networks, learners):
        yield


@pytest.fixture
def quick(monkeypatch):
    """Latencies of one call."""
    monkeypatch.setattr(cost, "CALLS", 1)
    monkeypatch.setattr(cost, "SECONDS", 0)


@parametrize_with_checks([fs.FewShotClassifier("ridge")])
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def images():
    """Two classes of images that differ in brightness, and their labels, texts."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, (24, 16, 16, 3))
    x[::2] += 100
    return x.astype(np.uint8), np.array(["bright", "dark"] * 12)


def test_images_in_every_form_are_the_same(images):
    x, y = images
    classifier = fs.FewShotClassifier("ridge").fit(x[4:], y[4:])
    expected = classifier.predict_proba(x[:4])
    assert classifier.predict(x[:4]).tolist() == ["bright", "dark"] * 2
    assert classifier.score(x[:4], y[:4]) == 1
    for given in (x / 255, x.reshape(24, -1), x.reshape(24, -1) / 255, x.astype(int), list(x)):
        other = fs.FewShotClassifier("ridge").fit(given[4:], y[4:])
        assert np.allclose(other.predict_proba(given[:4]), expected)


@pytest.mark.parametrize("scale", [np.float32, lambda x: x / 127.5 - 1, lambda x: x.astype(np.uint16) * 257])
def test_images_of_other_values_are_not_cut_off(images, scale):
    """Floats from 0 to 255 once were white images, and nothing said so."""
    x, y = images
    with pytest.raises(ValueError, match="floats from 0 to 1"):
        fs.FewShotClassifier("ridge").fit(scale(x), y)


def test_unequal_classes_count_as_in_trials(images, monkeypatch):
    """The learner once saw them as unequal as they were."""
    seen = []
    monkeypatch.setattr(Brightness, "fit", lambda self, train, *_: seen.append(np.bincount(train.y)) or self)
    fs.FewShotClassifier(Brightness()).fit(images[0][:6], ["a"] * 2 + ["b"] * 4)
    assert seen[0].tolist() == [4, 4]


def test_grey_images(images):
    x, y = images
    grey = x[..., 0]
    classifier = fs.FewShotClassifier("ridge").fit(grey, y)
    assert np.array_equal(classifier.predict_proba(grey), classifier.predict_proba(x[..., :1].repeat(3, 3)))


@pytest.fixture
def photos(images, tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(len(images[0]))]
    for path, image in zip(paths, images[0], strict=True):
        Image.fromarray(image).resize((40, 30)).save(path)
    return paths


@pytest.mark.parametrize("kind", [list, np.array, lambda paths: list(map(str, paths))])
def test_paths(images, photos, kind):
    y = images[1]
    classifier = fs.FewShotClassifier("ridge", image_size=8).fit(kind(photos[4:]), y[4:])
    assert classifier.score(kind(photos[:4]), y[:4]) == 1


def test_labels_of_any_kind(images):
    x, y = images
    for labels in ((y == "dark").astype(int) * 7, y == "dark", np.where(y == "dark", -1.0, 2.0)):
        found = fs.FewShotClassifier("ridge").fit(x, labels).predict(x)
        assert found.dtype == labels.dtype
        assert np.array_equal(found, labels)


def test_what_scikit_learn_does_with_classifiers(images):
    x, y = images
    classifier = fs.FewShotClassifier("centroid")
    assert cross_val_score(classifier, x, y, cv=3).mean() == 1
    search = GridSearchCV(classifier, {"method": ["ridge", "centroid"]}, cv=2).fit(x, y)
    assert search.best_params_["method"] in ("ridge", "centroid")
    darker = make_pipeline(FunctionTransformer(lambda images: images // 2), clone(classifier)).fit(x, y)
    assert darker.score(x, y) == 1


@pytest.mark.parametrize("method", ["ridge", "baseline:width=4", "heads:backbones=tiny@24:weights=random"])
def test_a_fitted_classifier_is_pickled(images, method, tiny_backbone):
    x, y = images
    x = x.repeat(2, 1).repeat(2, 2)
    classifier = fs.FewShotClassifier(method, updates=2 if "baseline" in method else None).fit(x, y)
    again = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(again.predict_proba(x), classifier.predict_proba(x))


def test_a_network_of_one_s_own(images):
    def mine(shape, outputs):
        import keras

        pixels = keras.Input(shape)
        pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pixels))
        return keras.Model(pixels, keras.layers.Dense(outputs)(pooled))

    x, y = images
    classifier = fs.FewShotClassifier(mine, updates=100, training={"learning_rate": 1.0}).fit(x, y)
    assert classifier.score(x, y) == 1


class Found:
    """A comparison's model that finds every image to be of its first class."""

    classes = ("10", "2")

    def predict(self, images):
        return np.tile([0.9, 0.1], (len(images), 1))


@pytest.mark.parametrize("of", ["arrays", "paths"])
def test_the_best_strategy(of, images, photos, monkeypatch):
    """Its model may order the classes in another way: 10 stands before 2 in an alphabet."""
    x, y = images[0] if of == "arrays" else photos, np.where(images[1] == "dark", 2, 10)
    asked = []

    def compare(data, budget, **options):
        asked.append((data if of == "arrays" else data.read_text().splitlines(), budget))
        return SimpleNamespace(model=Found())

    monkeypatch.setattr("fewshot.api.compare.compare", compare)
    classifier = fs.FewShotClassifier("auto", budget="2m").fit(x, y)
    ((data, budget),) = asked
    assert budget == "2m"
    if of == "arrays":
        assert data[2] == ["2", "10"]
        assert data[1].tolist() == [1, 0] * 12
    else:
        assert data[:3] == ["path,label", f"{photos[0]},10", f"{photos[1]},2"]
    assert classifier.classes_.tolist() == [2, 10]
    assert classifier.predict_proba(x[:1]).tolist() == [[0.1, 0.9]]


@pytest.mark.parametrize(
    "method",
    ["ridge", "heads:backbones=tiny@24:weights=random", "imagenet/tiny:head=lda,scale=l2,weights=random"],
)
def test_a_classifier_is_saved_as_a_model(images, method, tiny_backbone, tmp_path, quick):
    """It need not be the one that was fitted in this process; labels become texts."""
    x, y = images[0].repeat(2, 1).repeat(2, 2), np.where(images[1] == "dark", 2, 10)
    classifier = pickle.loads(pickle.dumps(fs.FewShotClassifier(method).fit(x[4:], y[4:])))
    model = classifier.export(tmp_path / "mine.keras")
    assert model.classes == ("2", "10")
    wanted = calibration.scaled(classifier.predict_proba(x), 1.0)  # with the doubt of every saved model
    np.testing.assert_allclose(model.predict(x), wanted, atol=1e-4)
    card = json.loads((tmp_path / "mine.json").read_text())
    assert (card["method"], card["images"], card["seed"]) == (method, [10, 10], 0)
    assert card["formats"]["keras"]["max_difference"] < 1e-4


def test_a_classifier_of_photos_takes_photos(images, photos, tiny_backbone, tmp_path, quick, monkeypatch):
    """Also where it looks at several views of each, and from another working folder."""
    monkeypatch.chdir(photos[0].parent)
    names = [path.name for path in photos]
    classifier = fs.FewShotClassifier("heads:backbones=tiny@24:weights=random").fit(names[4:], images[1][4:])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    model = classifier.export("mine.keras", ["keras"])
    wanted = calibration.scaled(classifier.predict_proba(photos[:4]), 1.0)
    np.testing.assert_allclose(model.predict(photos[:4]), wanted, atol=1e-3)
    photos[5].unlink()
    with pytest.raises(fs.FewshotError, match=r"5\.png"):
        classifier.export("again.keras")


def test_the_best_strategy_is_saved_where_it_is_wanted(images, tmp_path, quick, monkeypatch):
    best = fs.FewShotClassifier("ridge").fit(*images).export(tmp_path / "best.keras")
    monkeypatch.setattr("fewshot.api.compare.compare", lambda *_, **__: SimpleNamespace(model=best))
    classifier = fs.FewShotClassifier("auto").fit(*images)
    model = classifier.export(tmp_path / "mine.keras", ["saved_model"])
    assert np.array_equal(model.predict(images[0]), best.predict(images[0]))
    assert (tmp_path / "mine.saved_model").is_dir()
    assert model.card["formats"]["keras"]["file"] == "mine.keras"
    assert model.card["formats"]["saved_model"]["max_difference"] < 1e-4


@pytest.mark.parametrize(
    ("method", "change", "path", "message"),
    [
        ("ridge", lambda x: x.reshape(24, -1) - 300.0, "a.keras", "numbers from 0 to 255"),
        ("ridge", lambda x: x.reshape(24, -1)[:, :50], "a.keras", "square images"),
        ("ridge", lambda x: x, "a.h5", r"NAME\.keras"),
        ("knn", lambda x: x, "a.keras", "cannot be exported"),
    ],
)
def test_what_cannot_be_saved(images, method, change, path, message, tmp_path):
    classifier = fs.FewShotClassifier(method).fit(change(images[0]), images[1])
    with pytest.raises(fs.UsageError, match=message):
        classifier.export(tmp_path / path)


def test_classes_count_as_the_prior_says(images, monkeypatch):
    seen = []
    monkeypatch.setattr(Brightness, "fit", lambda self, train, *_: seen.append(train.prior) or self)
    for prior in ("alike", "natural"):
        fs.FewShotClassifier(Brightness(), prior=prior).fit(*images)
    assert seen == ["alike", "natural"]
    with pytest.raises(fs.UsageError, match="did you mean 'natural'"):
        fs.FewShotClassifier("ridge", prior="natural ").fit(*images)


@pytest.mark.parametrize(
    ("paths", "labels", "options", "message"),
    [
        (["nowhere.png"] * 2, ["a", "b"], {}, "no such photo: nowhere.png"),
        (None, ["a ", "b"] * 12, {}, "end with no space"),
        (None, ["a", "b"] * 12, {"epochs": 3}, "epochs= is for a method"),
    ],
)
def test_what_cannot_be_compared(paths, labels, options, message, photos):
    with pytest.raises(fs.UsageError, match=message):
        fs.FewShotClassifier("auto", **options).fit(paths or photos, labels)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 2, 2, 5)), "images"),
        ("photo.jpg", "a list of photos"),
        (np.zeros((4, 3, 3, 3, 3, 3)), "images"),
    ],
)
def test_what_are_no_images(x, message):
    with pytest.raises(ValueError, match=message):
        fs.FewShotClassifier("ridge").fit(x, [0, 1, 0, 1])


def test_a_photo_that_cannot_be_read(images, photos):
    photos[3].write_text("no image")
    with pytest.raises(fs.FewshotError, match=r"cannot read .*3\.png"):
        fs.FewShotClassifier("ridge", image_size=8).fit(photos, images[1])


def test_an_unknown_method(images):
    with pytest.raises(fs.UsageError, match="did you mean 'ridge'"):
        fs.FewShotClassifier("rigde").fit(*images)
