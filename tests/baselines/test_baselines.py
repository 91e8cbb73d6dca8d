"""scikit-learn estimators as learners of the testbed."""

import numpy as np
import pytest

from fewshot import baselines
from fewshot.baselines import estimators
from fewshot.data.protocols import Protocol
from fewshot.errors import UsageError
from fewshot.learners.estimator import EstimatorLearner


@pytest.mark.parametrize("name", list(estimators))
def test_every_estimator_learns_and_repeats(blobs, name):
    task = Protocol().sample_task(blobs, 0)
    for part in (task.train, task.test):  # brightness alone would not do: patches are blind to it
        part.x[part.y == part.y.max(), :, ::2] //= 2
    learner = EstimatorLearner(name).fit(task.train, 0)
    probabilities = learner.predict(task.test.x)
    assert probabilities.shape == (700, 10)
    assert np.allclose(probabilities.sum(1), 1)
    assert not probabilities[:, [c for c in range(10) if c not in task.train.y]].any()
    assert (probabilities.argmax(1) == task.test.y).mean() > 0.9
    assert np.array_equal(EstimatorLearner(name).fit(task.train, 0).predict(task.test.x), probabilities)


class Answers:
    """Says the second class always, as a classifier without probabilities."""

    classes_ = np.array([3, 5])

    def predict(self, x):
        return np.full(len(x), 5)


class Scores(Answers):
    def decision_function(self, x):
        return np.full(len(x), np.log(3))


class ManyScores(Scores):
    classes_ = np.array([0, 1, 2])

    def decision_function(self, x):
        return np.tile(np.log([1.0, 2.0, 5.0]), (len(x), 1))


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (Answers(), [0, 0, 0, 0, 0, 1]),
        (Scores(), [0, 0, 0, 0.25, 0, 0.75]),
        (ManyScores(), [0.125, 0.25, 0.625, 0, 0, 0]),
    ],
)
def test_probabilities_of_estimators_that_have_none(estimator, expected):
    found = baselines.probabilities(estimator, np.zeros((2, 4)), classes=6)
    assert np.allclose(found, [expected] * 2)


def test_what_is_drawn_at_random_follows_from_the_seed():
    from sklearn.ensemble import RandomForestClassifier

    estimators.register("forest")(lambda: RandomForestClassifier(3))
    try:
        assert baselines.build("forest", seed=7).random_state == 7
    finally:
        estimators.remove("forest")


def test_unfit_settings():
    assert estimators.canonical("ridge:alpha=3000") == "ridge"
    with pytest.raises(UsageError, match="did you mean 'alpha'"):
        EstimatorLearner("ridge:aplha=3").describe()
