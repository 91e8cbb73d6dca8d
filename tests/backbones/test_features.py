"""The store of features: computed once an image, whoever asks; the same fresh or stored."""

import os
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from fewshot.augment.offline import expand
from fewshot.backbones import features
from fewshot.data.dataset import Dataset
from fewshot.data.protocols import Protocol
from fewshot.errors import UsageError
from fewshot.learners.estimator import EstimatorLearner
from fewshot.learners.keras_network import KerasLearner
from fewshot.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("started")

TEXT = "squeezenet@48:weights=random"


@pytest.fixture(autouse=True)
def empty(own_cache):
    return own_cache


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3)).astype(np.uint8)


@pytest.fixture
def counted(monkeypatch):
    """The numbers of images that were computed, call by call."""
    counts = []
    computed = features._computed

    def count(term, x, missing):
        counts.append(len(missing))
        return computed(term, x, missing)

    monkeypatch.setattr(features, "_computed", count)
    return counts


def test_an_image_is_computed_once(images, counted):
    first = features.extract(TEXT, images[:20])
    whole = features.extract(TEXT, images)
    again = features.extract(TEXT, images[::-1])
    assert counted == [20, 40, 0]
    assert first.shape == (20, 512)
    assert np.array_equal(whole[:20], first)
    assert np.array_equal(again[::-1], whole)
    assert len(np.unique(whole, axis=0)) == 60


def test_fresh_and_stored_features_are_the_same_to_the_last_digit(images):
    stored = features.extract(TEXT, images)
    features.clear()
    assert np.array_equal(features.extract(TEXT, images[::-1])[::-1], stored)


def test_how_long_missing_features_take_is_known_before_the_backend_starts(images, own_cache):
    took = features.seconds(TEXT, 60)
    assert features.missing_seconds(TEXT, images, (1, "cpu")) == took
    features.extract(TEXT, images[:20])
    assert features.missing_seconds(TEXT, images, (1, "cpu")) == pytest.approx(took * 40 / 60)
    assert features.missing_seconds(TEXT, images[:20], (1, "cpu")) == 0
    assert features.missing_seconds(TEXT, images, (2, "cpu")) == took  # sums may differ
    (store,) = (own_cache / "features").glob("*.sqlite")
    store.write_bytes(b"no store")
    assert features.missing_seconds(TEXT, images, (1, "cpu")) == took


def test_which_weights_have_to_be_fetched(own_cache):
    assert features.files_to_fetch(TEXT) == []
    assert features.files_to_fetch("keras/MobileNet") == []
    two = "efficientnet-lite0@160+resnet50"
    assert [file.size for file in features.files_to_fetch(two)] == [17_364_911, 95_128_781]
    (own_cache / "weights" / "resnet50").mkdir(parents=True)
    assert [file.name for file in features.files_to_fetch(two)] == ["efficientnet_lite0"]


def test_features_are_those_of_the_backbone(images):
    from fewshot.backbones import load
    from fewshot.seeding import seed_globally

    seed_globally(0)
    network = load("squeezenet", "random", (16, 16, 3), size=48)
    expected = network.predict(images[:5].astype("float32"), verbose=0)
    assert np.allclose(features.extract(TEXT, images[:5]), expected, rtol=1e-3, atol=1e-3)


def test_backbones_stand_side_by_side(images):
    both = features.extract("squeezenet@48+squeezenet@64:weights=random", images[:3])
    assert np.array_equal(both[:, :512], features.extract(TEXT, images[:3]))
    assert np.array_equal(both[:, 512:], features.extract("squeezenet@64:weights=random", images[:3]))


def test_the_store_keeps_within_its_limit(images, monkeypatch, own_cache):
    features.extract(TEXT, images[:5])
    (first,) = (own_cache / "features").glob("*.sqlite")
    monkeypatch.setattr(features, "LIMIT", 1)
    features.extract("squeezenet@64:weights=random", images[:5])
    assert first.exists()  # another worker may have it open
    os.utime(first, (0, 0))
    features.extract("squeezenet@64:weights=random", images[5:10])
    (left,) = (own_cache / "features").glob("*.sqlite")
    assert "-64-" in left.name


def test_a_store_cut_off_in_the_middle_of_a_batch_holds_whole_batches(images, monkeypatch):
    monkeypatch.setattr(features, "BATCH", 20)
    computed = features._computed

    def broken(term, x, missing):
        yield next(computed(term, x, missing))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(features, "_computed", broken)
        with pytest.raises(KeyboardInterrupt):
            features.extract(TEXT, images)
    (path,) = (features.cache_dir() / "features").glob("*.sqlite")
    with sqlite3.connect(path) as store:
        assert store.execute("SELECT count(*) FROM features").fetchone() == (20,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("squeezenett", "did you mean 'squeezenet'"),
        ("squeezenet@10", "from 48×48 on"),
        ("squeezenet@big", "a size is written squeezenet@160"),
        ("squeezenet:weight=random", "did you mean 'weights'"),
    ],
)
def test_unfit_names(text, message):
    with pytest.raises(UsageError, match=message):
        features.parse(text)


def test_a_file_of_weights_that_is_not_there():
    with pytest.raises(UsageError, match=r"cannot read the weights nowhere\.pth"):
        features.describe("squeezenet:weights=nowhere.pth")


@pytest.mark.parametrize("learner", [EstimatorLearner("ridge"), KerasLearner("linear", Recipe(epochs=5))])
def test_learners_see_the_features_of_the_expanded_images(blobs, learner):
    """As if the features were the images, mirrored ones included; nothing is computed after `prepare`."""
    task = Protocol().sample_task(blobs, 0)
    changes = (
        {"recipe": replace(learner.recipe, tta_flip=True)}
        if hasattr(learner, "recipe")
        else {"tta_flip": True}
    )
    on_features = replace(learner, features=TEXT, offline="flip", **changes)
    on_features.check((16, 16, 3))
    on_features.prepare(task)
    assert on_features.shared() == (TEXT, "flip", True)
    fitted = on_features.fit(task.train, 0).fitted
    assert fitted.n_train == 200
    x = expand(task.train, "flip", 0).x
    assert np.array_equal(x[100:], task.train.x[:, :, ::-1])
    straight, mirrored = on_features.predict(task.test.x[:50]), on_features.predict(task.test.x[:50, :, ::-1])
    assert np.allclose(straight, mirrored, atol=1e-5)
    assert learner.shared() == ()


def test_all_is_computed_before_training(blobs, counted):
    task = Protocol().sample_task(blobs, 0)
    learner = KerasLearner("hidden", Recipe(epochs=2, tta_flip=True), "flip", TEXT)
    learner.prepare(task)
    assert sum(counted) == 200 + 2 * 700
    learner.fit(task.train, 0, watch=task.test).predict(task.test.x)
    assert sum(counted) == 200 + 2 * 700


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (KerasLearner("baseline", features=TEXT), "takes images, not features: use linear or hidden"),
        (KerasLearner("linear", Recipe(online="flip"), features=TEXT), "use offline augmentation"),
        (KerasLearner("linear", offline="mixing", features=TEXT), "averages images in the graph"),
        (EstimatorLearner("ridge", offline="mixing"), "averages images in the graph"),
    ],
)
def test_what_does_not_go_together(learner, message):
    with pytest.raises(UsageError, match=message):
        learner.check((32, 32, 3))


def test_curves_are_of_the_features_too(blobs):
    task = Protocol().sample_task(blobs, 0)
    watch = Dataset(task.test.x[:20], task.test.y[:20], task.test.classes)
    fitted = KerasLearner("linear", Recipe(epochs=5), features=TEXT).fit(task.train, 0, watch).fitted
    assert len(fitted.curve["held_out_accuracy"]) == 5
