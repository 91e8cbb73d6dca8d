"""The contract battery: what every learner promises, whatever it is.

Each kind has a representative that is quick to train. A new kind in `fewshot` or `gan` fails the first test
until it has one; what is in the registry `learners` is taken in with its default settings.
"""

import copy
import json
import pickle
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from helpers import Brightness
from sklearn.linear_model import LogisticRegression, RidgeClassifier

import gan.learner
from fewshot.data import Dataset, open_splits, prepare
from fewshot.data.catalogue import DataSpec
from fewshot.data.protocols import Task
from fewshot.errors import UsageError
from fewshot.learners.contract import Learner, Wrapper, ensembles, learners, wrappers
from fewshot.learners.estimator import EstimatorLearner, GivenEstimatorLearner
from fewshot.learners.head_first import HeadFirstLearner
from fewshot.learners.heads import HeadsLearner
from fewshot.learners.keras_network import KerasLearner
from fewshot.learners.mean import MeanLearner
from fewshot.learners.numpy_network import NumpyLearner
from fewshot.learners.transfer import TransferLearner
from fewshot.training.recipe import Recipe

SHORT = Recipe(epochs=4, batch=10)
FEATURES = "tiny@48:weights=random"  # of the backbone that the fixture `tiny_backbone` registers
TINY_GAN = "best:width=4,latent=8,batch=8,fakes=8,updates=3"
NETWORK = KerasLearner("compact:width=4", SHORT)
REPRESENTATIVES: dict[str, Learner] = {
    "a network": NETWORK,
    "a head on features": KerasLearner("linear", SHORT, features=FEATURES),
    "a NumPy network": NumpyLearner("numpy-conv16", SHORT),
    "an estimator on pixels": EstimatorLearner("centroid"),
    "an estimator on features": EstimatorLearner("ridge:alpha=1", features=FEATURES),
    "an estimator as an object": GivenEstimatorLearner(LogisticRegression(max_iter=50)),
    "a head on features of length 1": EstimatorLearner("lda:scale=centred-l2", features=FEATURES),
    "heads": HeadsLearner(backbones=FEATURES),
    "the head first": HeadFirstLearner(
        KerasLearner("tuned:backbone=tiny,size=48,weights=random", replace(SHORT, learning_rate=0.001))
    ),
    "transfer": TransferLearner(NETWORK, transfer="digits", last=1, pretrain_epochs=1),
    "synthetic": gan.learner.SyntheticLearner(EstimatorLearner("centroid"), synthetic=4, gan=TINY_GAN),
    "a mean": MeanLearner((EstimatorLearner("centroid"), NETWORK), (0.25, 0.75)),
    "the tests' own": Brightness(),
}
# Other values of the settings that are names; those of numbers and switches are made up.
OTHERWISE: dict[str, object] = {
    "average": "plain",
    "backbones": "tiny@56:weights=random",
    "base": Brightness(scale=3.0),
    "calibrate": "none",
    "estimator": {EstimatorLearner: "logistic", GivenEstimatorLearner: RidgeClassifier()},
    "features": "tiny@56:weights=random",
    "gan": "report",
    "head_first": "lda",
    "heads": "lda+svm",
    "keep": "agree",
    "members": (EstimatorLearner("ridge"), NETWORK),
    "network": {KerasLearner: "baseline", NumpyLearner: "numpy-fc3"},
    "offline": "flip",
    "recipe": replace(SHORT, learning_rate=0.5),
    "scales": "l2",
    "transfer": "none",
    "views": "whole+padded",
    "weights": (0.5, 0.5),
}
SHAPE = (32, 32, 3)
TOLERANCE = 1e-4  # of a probability
ROUNDED = 1e-2  # where features are rounded to half precision, one may fall on the other side

pytestmark = pytest.mark.usefixtures("started", "tiny_backbone")


def kinds(base: type = Learner) -> set[type]:
    """Return the kinds of learners that are defined in the packages, wrappers included."""
    below = set().union(*(kinds(kind) | {kind} for kind in base.__subclasses__()), set())
    ours = {kind for kind in below - {Wrapper} if kind.__module__.split(".")[0] in ("fewshot", "gan")}
    return {kind for kind in ours if kind.fit is not Learner.fit}  # the others are what kinds have in common


REPRESENTED = set(map(type, REPRESENTATIVES.values()))
REGISTERED = {name: learners[name] for name in learners if learners[name].make not in REPRESENTED}
NAMES = [*REPRESENTATIVES, *REGISTERED]


def representative(name: str) -> Learner:
    """Return a learner that has not been fitted."""
    return copy.deepcopy(REPRESENTATIVES[name]) if name in REPRESENTATIVES else REGISTERED[name]()


@pytest.fixture(scope="module")
def images(cache):
    """Digits of three classes, eight each for training; the dataset has a fourth class without an image."""
    whole = open_splits(prepare(DataSpec("digits")).folder).train
    index = [np.flatnonzero(whole.y == label)[:20] for label in (0, 1, 7)]

    def part(chosen: slice) -> Dataset:
        where = np.concatenate([positions[chosen] for positions in index])
        labels = np.searchsorted([0, 1, 7], whole.y[where]) + (whole.y[where] > 0)  # 0, 2 and 3: not 1
        return Dataset(np.ascontiguousarray(whole.x[where]), labels, ("0", "none", "1", "7"))

    return part(slice(8)), part(slice(8, 20))


@pytest.fixture(scope="module")
def fitted(request, images):
    """A fitted learner of the kind, what `fit` returned, and its probabilities of the test images."""
    train, test = images
    learner = representative(request.param)
    returned = learner.fit(train, 0)
    return learner, returned, learner.predict(test.x)


every_kind = pytest.mark.parametrize("name", NAMES)
every_fitted = pytest.mark.parametrize("fitted", NAMES, indirect=True, scope="module")


def test_every_kind_has_a_representative():
    here = REPRESENTED | {definition.make for definition in REGISTERED.values()}
    missing = kinds() - here
    assert not missing, f"add one that is quick to train to REPRESENTATIVES: {missing}"
    assert {registry[name].make for registry in (wrappers, ensembles) for name in registry} <= here


@every_fitted
def test_fit_returns_the_learner_and_says_what_it_took(fitted, images):
    learner, returned, _ = fitted
    assert returned is learner
    assert learner.fitted.n_train > 0
    assert learner.fitted.images_seen > 0
    json.dumps(learner.fitted.curve, allow_nan=False)
    assert len({len(points) for points in learner.fitted.curve.values()}) <= 1


@every_fitted
def test_predictions_are_probabilities(fitted, images):
    _, _, probabilities = fitted
    assert probabilities.shape == (len(images[1]), 4)
    assert np.issubdtype(probabilities.dtype, np.floating)
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=TOLERANCE)
    assert probabilities[:, 1].mean() < 1 / 4, "a class without images has more than its even share"


@every_fitted
def test_predictions_depend_on_the_image_alone(fitted, images):
    """Neither on the others beside it, nor on their order, nor on their number."""
    learner, _, probabilities = fitted
    x = images[1].x
    order = np.random.default_rng(0).permutation(len(x))
    before = x.copy()
    np.testing.assert_allclose(learner.predict(x[order]), probabilities[order], atol=TOLERANCE)
    np.testing.assert_allclose(learner.predict(x[:1]), probabilities[:1], atol=TOLERANCE)
    assert np.array_equal(x, before)


@every_fitted
def test_the_same_seed_gives_the_same_to_the_last_digit(fitted, images):
    """Also after another fit in between, which leaves what was fitted before as it is."""
    learner, _, probabilities = fitted
    train, test = images
    copies = train.x.copy(), train.y.copy()
    other, again = copy.copy(learner).fit(train, 1), copy.copy(learner).fit(train, 0)
    assert np.array_equal(again.predict(test.x), probabilities)
    assert np.array_equal(learner.predict(test.x), probabilities)
    assert other.predict(test.x).shape == probabilities.shape
    assert np.array_equal(train.x, copies[0])
    assert np.array_equal(train.y, copies[1])


@every_fitted
def test_export_says_what_predict_says(fitted, images):
    """Of the classes that have images: `export` leaves out the others before it trains."""
    learner, (train, test) = copy.copy(fitted[0]), images
    try:
        learner.check_export()
    except UsageError:
        with pytest.raises(UsageError):
            learner.keras_model(SHAPE)
        return
    probabilities = learner.fit(train.compact(), 0).predict(test.x)
    exported = np.asarray(learner.keras_model(SHAPE)(test.x.astype(np.float32), training=False))
    tolerance = TOLERANCE if getattr(learner, "features", "pixels") == "pixels" else ROUNDED
    np.testing.assert_allclose(exported, probabilities, atol=tolerance)


@every_kind
def test_the_description_is_json_and_complete(name):
    """Strict JSON, the same at every call and after pickling, another for every setting."""
    learner = representative(name)
    text = json.dumps(learner.describe(), sort_keys=True, allow_nan=False)
    assert json.dumps(learner.describe(), sort_keys=True) == text
    assert json.dumps(pickle.loads(pickle.dumps(learner)).describe(), sort_keys=True) == text
    assert is_dataclass(learner)
    for field in fields(learner):
        changed = replace(learner, **{field.name: otherwise(learner, field.name)})
        assert json.dumps(changed.describe(), sort_keys=True) != text, f"{field.name} is not described"
    json.dumps(learner.identity(), allow_nan=False)


def otherwise(learner: Learner, name: str) -> object:
    """Return another valid value of a setting."""
    value = getattr(learner, name)
    if isinstance(learner, TransferLearner) and name == "base":
        return replace(NETWORK, network="baseline")
    if isinstance(learner, HeadFirstLearner) and name == "base":
        return replace(learner.base, network=learner.base.network.replace("size=48", "size=40"))
    if name in OTHERWISE:
        other = OTHERWISE[name]
        return other[type(learner)] if isinstance(other, dict) else other
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value + 0.5
        case tuple():
            return (*value, 1)
    raise AssertionError(f"say in OTHERWISE what else the setting '{name}' may be")


@every_kind
@pytest.mark.parametrize("shape", [(1, 1, 3), (8, 8, 3), (32, 16, 3), SHAPE, (500, 500, 3)])
def test_check_raises_only_errors_for_users(name, shape):
    try:
        representative(name).check(shape)
        refused = ""
    except UsageError as error:
        refused = str(error)
    assert "\n" not in refused
    assert shape != SHAPE or not refused


def test_estimators_on_pixels_and_networks_in_numpy_need_no_backend():
    needless = {name for name in REPRESENTATIVES if not representative(name).uses_backend}
    assert needless == {"a NumPy network", "an estimator on pixels", "the tests' own"}
    assert EstimatorLearner("knn:distance=ssim").uses_backend  # computed by Keras, in tiles
    assert not MeanLearner((EstimatorLearner("ridge"), Brightness())).uses_backend


@every_kind
def test_the_workload_is_said_in_a_line(name):
    text = representative(name).workload(100)
    assert text.strip()
    assert "\n" not in text


@every_kind
def test_preparing_twice_changes_nothing(name, images):
    """`shared` decides what `prepare` does, so it can be compared and does not change."""
    train, test = images
    learner = representative(name)
    task = Task(0, train.classes, train, test, np.arange(len(train)), np.arange(len(test)), "train")
    shared = learner.shared()
    assert hash(shared) == hash(representative(name).shared())
    for _ in range(2):
        learner.prepare(task)
        assert learner.shared() == shared
