"""Ensembles of unlike learners: what is averaged, on which scale, and who is refused."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import Brightness
from scipy.special import softmax

from fewshot.data import Dataset
from fewshot.errors import BrokenCode, UsageError
from fewshot.learners.contract import Fit, Learner
from fewshot.learners.estimator import EstimatorLearner
from fewshot.learners.heads import HeadsLearner
from fewshot.learners.held_out import by_folds
from fewshot.learners.mean import MeanLearner, scale_of
from fewshot.trials.plan import Images


@dataclass
class Fixed(Learner):
    """The first pixel says the probability of class 1; held out, it is as sure as that, to a power."""

    power: float = 1.0
    outputs: int = 2

    def fit(self, train, seed, watch=None, checkpoint=None):
        self.fitted = Fit.in_one_step(len(train))
        return self

    def predict(self, x):
        shares = x[:, 0, 0, 0] / 255
        return softmax(self.power * np.log(np.stack([1 - shares, shares][: self.outputs], 1)), 1)

    def held_out(self, train, seed):
        return self.predict(train.x)


def pixels(shares, labels):
    x = np.zeros((len(shares), 2, 2, 3), np.uint8)
    x[:, 0, 0, 0] = np.round(np.multiply(shares, 255))
    return Dataset(x, np.array(labels), ("a", "b"))


@pytest.fixture
def train():
    """Of images that are 0.8 sure, four of five are right."""
    return pixels([0.8] * 50 + [0.2] * 50, [1, 1, 1, 1, 0] * 10 + [0, 0, 0, 0, 1] * 10)


@pytest.mark.parametrize("average", ["log", "plain"])
def test_what_is_averaged(average, train):
    learner = MeanLearner((Fixed(1.0), Fixed(2.0)), (0.25, 0.75), average, "none").fit(train, 0)
    x = pixels([0.6, 0.3], [0, 1]).x
    one, two = (Fixed(power).predict(x) for power in (1.0, 2.0))
    expected = 0.25 * one + 0.75 * two
    if average == "log":
        expected = one**0.25 * two**0.75
        expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(learner.predict(x), expected)


def test_members_are_brought_to_one_scale(train):
    """One that is too sure and one that is not sure enough say the same in the end."""
    learner = MeanLearner((Fixed(0.05), Fixed(5.0))).fit(train, 0)
    assert learner.factors[0] / learner.factors[1] == pytest.approx(100, rel=1e-2)
    assert learner.predict(pixels([0.8], [1]).x)[0, 1] == pytest.approx(0.8, abs=0.03)


def test_only_all_calibrates_what_has_no_cheap_held_out_predictions(train):
    members = (Brightness(), Brightness(scale=3.0))
    cheap = MeanLearner(members).fit(train, 0)
    assert cheap.factors == (1.0, 1.0)
    assert 1.0 not in MeanLearner(members, calibrate="all").fit(train, 0).factors


def test_images_that_tell_nothing_have_no_scale(train):
    even = np.full((len(train), 2), 0.5)
    assert scale_of(even, train) == 1
    assert scale_of(np.full((len(train), 2), np.nan), train) == 1


@pytest.mark.parametrize("members", [(Brightness(),), ()])
def test_an_ensemble_has_two_members(members):
    with pytest.raises(UsageError, match="two members or more"):
        MeanLearner(members)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((0.3, 0.6), "sum to 1. Received: 0.3, 0.6, 0.9 in all"),
        ((1.5, -0.5), "are above 0. Received: 1.5, -0.5"),
        ((float("nan"), 1.0), "are above 0"),
        ((1.0,), "every member of an ensemble has a weight, or none has. Received: 1 for 2"),
    ],
)
def test_weights(weights, message):
    with pytest.raises(UsageError, match=message):
        MeanLearner((Brightness(), Fixed()), weights)
    assert MeanLearner((Brightness(), Fixed()), (0.5, 0.5)).weights == ()
    assert sum(
        MeanLearner((Brightness(), Fixed(), Fixed(2.0)), (0.333, 0.334, 0.332)).weights
    ) == pytest.approx(1)


def test_members_that_disagree_on_the_classes(train):
    learner = MeanLearner((Fixed(), Fixed(outputs=1)), calibrate="none").fit(train, 0)
    with pytest.raises(BrokenCode, match=r"disagree on the classes: .*test_mean.* shape \(1, 1\).* \(1, 2\)"):
        learner.predict(train.x[:1])


def test_members_that_look_at_other_photos():
    small, views = SimpleNamespace(folder="small"), SimpleNamespace(folder="views")
    mixed = MeanLearner((Brightness(), MeanLearner((Fixed(), HeadsLearner()))))
    assert mixed.looks_at == "views"
    with pytest.raises(UsageError, match=r"different renditions of a folder's photos \(small and views\)"):
        Images(small, small, views).of(mixed)
    assert Images(small, small, small).of(mixed) is small  # of a dataset with a name


def test_what_cannot_be_exported_is_said_before_training():
    with pytest.raises(UsageError, match="a Brightness cannot be exported"):
        MeanLearner((EstimatorLearner("ridge"), Brightness())).check_export()


@pytest.mark.parametrize("copied", ["none", "flip"])
@pytest.mark.parametrize("classes", [2, 3])
def test_ridge_leaves_images_out_in_closed_form(copied, classes):
    """As if it were fitted anew without each; the scaler has seen all, as the closed form's has."""
    random = np.random.default_rng(0)
    labels = np.arange(12) % classes
    x = (random.random((12, 4, 4, 3)) * 200 + 20 * labels[:, None, None, None]).astype(np.uint8)
    train = Dataset(x, labels, ("a", "b", "c")[:classes])
    learner = EstimatorLearner("ridge:alpha=50", offline=copied).fit(train, 0)
    found = learner.held_out(train, 0)
    scaler, ridge = (step for _, step in learner._estimator.steps)
    from sklearn.base import clone

    from fewshot.augment.offline import expand
    from fewshot.baselines import probabilities, rows

    everything = scaler.transform(rows(expand(train, copied, 0).x))
    photos, y = np.tile(np.arange(12), len(everything) // 12), np.tile(labels, len(everything) // 12)
    for photo in range(12):
        new = clone(ridge).fit(everything[photos != photo], y[photos != photo])
        np.testing.assert_allclose(
            found[photo], probabilities(new, everything[photo][None], classes)[0], atol=1e-6
        )


def test_other_estimators_leave_folds_out(train):
    learner = EstimatorLearner("logistic").fit(train, 0)
    expected = by_folds(train, 0, lambda part: EstimatorLearner("logistic").fit(part, 0))
    np.testing.assert_allclose(learner.held_out(train, 0), expected)
    assert not np.allclose(expected, learner.predict(train.x), atol=1e-3)
