"""Unequal classes: how they count in training, in every kind of learner, and in a record's key."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import Brightness

from fewshot.data import Dataset, Prepared, Splits
from fewshot.data.protocols import Protocol
from fewshot.data.sources import save
from fewshot.errors import UsageError
from fewshot.learners.estimator import EstimatorLearner, GivenEstimatorLearner
from fewshot.stats.promise import promise
from fewshot.trials.plan import Draws
from fewshot.trials.trial import Trial


def images(counts, seed=0, apart=8):
    """Return images of two overlapping lights, 8 × 8."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    light = 100 + apart * y[:, None, None, None] + rng.normal(0, 8, (len(y), 1, 1, 1))
    x = np.clip(light + rng.integers(-20, 20, (len(y), 8, 8, 3)), 0, 255)
    return Dataset(x.astype(np.uint8), y, ("a", "b"))


def test_classes_count_alike_whatever_their_numbers():
    train = images((30, 10))
    assert train.uneven
    assert [train.weights[train.y == label].sum() for label in (0, 1)] == pytest.approx([20, 20])
    assert not replace(train, prior="natural").uneven
    assert (images((10, 10)).weights == 1).all()
    assert images((10, 10)).repeated(0).y.tolist() == images((10, 10)).y.tolist()


def test_images_of_smaller_classes_are_repeated_evenly():
    train = images((33, 10))
    repeated = train.repeated(0)
    assert np.bincount(repeated.y).tolist() == [33, 33]
    assert np.array_equal(repeated.x[: len(train)], train.x)
    _, times = np.unique(repeated.x[repeated.y == 1], axis=0, return_counts=True)
    assert sorted(times.tolist()) == [3] * 7 + [4] * 3
    assert not np.array_equal(train.repeated(1).x, repeated.x)
    assert replace(train, prior="natural").take(np.arange(5)).compact().prior == "natural"


def test_a_learner_that_knows_no_weights_sees_repeated_images():
    train = images((30, 10))
    assert Brightness().train(train, 0).fitted.n_train == 60
    assert Brightness().train(replace(train, prior="natural"), 0).fitted.n_train == 40
    assert Brightness().train(images((10, 10)), 0).fitted.n_train == 20


ESTIMATORS = ("logistic:c=1", "ridge", "patches:count=20", "knn:k=3", "lda", "svm", "logistic-cv")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_of_every_kind_count_classes_alike(name):
    """On classes that overlap the small one is found more often than where photos count as they come."""
    test, found = images((100, 100), seed=9), {}
    for prior in ("alike", "natural"):
        learner = EstimatorLearner(name)
        answers = []
        for seed in range(3):
            learner.train(replace(images((60, 6), seed), prior=prior), seed)
            answers.append(learner.predict(test.x).argmax(1) == test.y)
        found[prior] = np.mean(answers, 0)[test.y == 1].mean()
    assert found["alike"] > found["natural"] + 0.3
    assert found["alike"] > 0.3


@pytest.mark.parametrize("name", ESTIMATORS)
def test_on_equal_classes_the_prior_changes_nothing_to_the_last_digit(name):
    test = images((5, 5), seed=9)
    said = [
        EstimatorLearner(name).train(replace(images((12, 12)), prior=prior), 0).predict(test.x)
        for prior in ("alike", "natural")
    ]
    assert np.array_equal(*said)


def test_a_saved_model_of_unequal_classes_says_what_the_learner_says(started):
    train, test = images((40, 8)), images((10, 10), seed=9)
    learner = EstimatorLearner("logistic:c=1").train(train, 0)
    said = learner.keras_model((8, 8, 3))(test.x.astype(np.float32), training=False)
    np.testing.assert_allclose(np.asarray(said), learner.predict(test.x), atol=1e-4)


def test_a_users_estimator_gets_weights_or_repeated_images():
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, sizes = images((30, 10)), {}
    for estimator in (
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        KNeighborsClassifier(3),
    ):
        fitted = GivenEstimatorLearner(estimator).train(train, 0).fitted
        sizes[type(estimator).__name__] = fitted.n_train
    assert sizes == {"LogisticRegression": 40, "Pipeline": 40, "KNeighborsClassifier": 60}


def test_a_record_knows_the_prior_where_it_changes_numbers(tmp_path):
    def key(counts, protocol, prior):
        folder = tmp_path / "-".join(map(str, counts))
        splits = Splits("photos", replace(images(counts), groups=np.arange(sum(counts))))
        if not folder.exists():
            folder.mkdir()
            save(splits, folder, "these tests")
        data = Prepared("photos", folder, splits.classes, splits.fingerprint(), "distinct", None)
        return Trial("a", Brightness(), replace(protocol, prior=prior), data, 0).key

    def differs(counts, protocol):
        return key(counts, protocol, "alike") != key(counts, protocol, "natural")

    assert differs((30, 10), Protocol("folds", None))
    assert differs((30, 10), Protocol("full", None))
    assert not differs((20, 20), Protocol("full", None))
    assert not differs((30, 10), Protocol("distinct", None, 5))


def test_there_are_two_priors():
    with pytest.raises(UsageError, match=r"unknown prior 'even': .*alike, natural"):
        Draws(prior="even")


def test_a_model_for_photos_as_they_come_is_calibrated_for_them():
    labels = np.repeat([0, 1], (90, 10))
    said = np.where((labels == 0)[:, None], [0.9, 0.1], [0.6, 0.4])  # all answered 0
    alike, natural = (promise(said, labels, prior=prior) for prior in ("alike", "natural"))
    assert (alike.expected.value, natural.expected.value) == pytest.approx((50, 90))
    assert natural.temperature < alike.temperature


def test_the_card_holds_the_accuracy_of_a_model_of_unequal_classes_class_by_class():
    """Twenty folders of 20 and 200 photos, five-fold: what is delivered, trained on all, on photos apart."""
    from scipy.special import softmax

    from fewshot.baselines.heads import Rotated, fit_head
    from fewshot.baselines.heads.folds import deal

    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 1000)

    def rows(labels):
        return rng.normal(size=(len(labels), 20)) + labels[:, None] * 0.4

    def said(x, y, new):
        head = fit_head("lda", Rotated(x, y, np.arange(len(y)), deal(y, np.arange(len(y)), 0)))
        return softmax(new @ head.kernel + head.bias, 1)

    labels, held = np.repeat([0, 1], (20, 200)), np.zeros(2)
    for _ in range(20):
        x = rows(labels)
        part = np.concatenate([rng.permutation(count) % 5 for count in (20, 200)])
        out = np.empty((len(labels), 2))
        for fold in range(5):
            out[part == fold] = said(x[part != fold], labels[part != fold], x[part == fold])
        right = said(x, labels, rows(truth)).argmax(1) == truth
        recall = promise(out, labels).recall
        for label in (0, 1):
            low, high = recall[label].interval
            held[label] += low <= 100 * right[truth == label].mean() <= high
    assert (held >= 18).all()
