"""What is promised of new photos: bounded, and held by the model that is delivered."""

import numpy as np
import pytest

from fewshot.stats.intervals import wilson
from fewshot.stats.promise import promise


def sure(answers, classes=2, certainty=0.9):
    """Return probabilities that give these answers."""
    rest = (1 - certainty) / (classes - 1)
    return np.where(np.eye(classes, dtype=bool)[np.asarray(answers)], certainty, rest)


def test_wilson_agrees_with_a_table():
    """Agresti and Coull (1998): none of ten is 0 to 27.8 per cent; half of ten 23.7 to 76.3."""
    assert wilson(0.0, 10) == pytest.approx((0, 27.75), abs=0.05)
    assert wilson(0.5, 10) == pytest.approx((23.7, 76.3), abs=0.05)


def test_values_by_hand():
    labels = np.repeat([0, 1], [30, 10])
    answers = labels.copy()
    answers[:3], answers[30:35] = 1, 0
    told = promise(sure(answers), labels)
    assert told.accuracy.value == pytest.approx(80)
    assert told.balanced_accuracy.value == pytest.approx(70)
    assert [recall.value for recall in told.recall] == pytest.approx([90, 50])
    assert [recall.n for recall in told.recall] == [30, 10]
    for known in (told.accuracy, told.balanced_accuracy, *told.recall):
        low, high = known.interval
        assert 0 <= low < known.value < high <= 100
    wide, narrow = (np.ptp(told.recall[k].interval) for k in (1, 0))
    assert wide > narrow


def test_all_right_of_forty_is_no_certainty():
    labels = np.repeat([0, 1], 20)
    told = promise(sure(labels), labels)
    low, high = told.balanced_accuracy.interval
    assert (told.balanced_accuracy.value, high) == (100, 100)
    assert 80 < low < 95
    assert promise(sure(1 - labels), labels).balanced_accuracy.interval[0] == 0


def test_near_duplicates_count_once():
    labels = np.repeat([0, 1], 40)
    answers = labels.copy()
    answers[:20] = 1  # one scene, photographed twenty times
    groups = np.r_[np.zeros(20, int), np.arange(1, 61)]
    once, often = promise(sure(answers), labels, groups), promise(sure(answers), labels)
    assert (once.n, often.n) == (61, 80)
    assert once.recall[0].value == pytest.approx(100 * 20 / 21)
    assert often.recall[0].value == 50
    assert np.ptp(once.recall[1].interval) == np.ptp(often.recall[1].interval)


def test_too_few_photos_are_too_few_to_say():
    labels = np.repeat([0, 1], [3, 30])
    told = promise(sure(labels), labels)
    assert told.recall[0].interval is None
    assert told.recall[0].reason == "too few to say: 3 photos"
    assert told.balanced_accuracy.interval[0] < 65  # the three weigh half
    assert promise(sure([0, 1]), np.array([0, 1])).accuracy.interval is None
    assert promise(sure(labels, 3), labels).recall[2] is None


def test_divisions_are_averaged_and_bring_no_photos():
    labels = np.repeat([0, 1], 20)
    wrong = labels.copy()
    wrong[:10] = 1
    both = promise(np.stack([sure(labels), sure(wrong)]), labels)
    assert both.accuracy.value == pytest.approx(87.5)
    assert both.n == 40
    one = promise(sure(wrong), labels)
    assert promise(np.stack([sure(wrong)] * 5), labels).accuracy == one.accuracy
    assert promise(np.stack([sure(wrong)] * 5), labels).temperature == pytest.approx(
        one.temperature, rel=1e-3
    )


def test_all_photos_leave_fewer_errors_than_nine_tenths_of_them():
    labels = np.repeat([0, 1], 20)
    answers = labels.copy()
    answers[:4] = 1
    told = promise(sure(answers), labels, error_ratio=0.5)
    assert told.balanced_accuracy.value == pytest.approx(95)
    assert told.recall[0].value == pytest.approx(90)
    np.testing.assert_allclose(told.confusion, [[90, 10], [0, 100]])


def test_the_confusion_has_the_recalls_on_its_diagonal():
    """Whatever divisions, copies of photos and the learning curve make of these; no photos, no answers."""
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 2, 3, 4])
    answers = np.stack([sure([0, 1, 2, 1, 1, 2], 4), sure([0, 0, 1, 1, 0, 2], 4)])
    told = promise(answers, labels, groups, error_ratio=0.8)
    assert told.confusion[0] == pytest.approx((50.0, 30.0, 20.0, 0.0))  # the two copies count as one photo
    assert [row[i] for i, row in enumerate(told.confusion)][:2] == pytest.approx(
        [recall.value for recall in told.recall[:2]]
    )
    assert told.confusion[2] == told.confusion[3] == (0.0,) * 4


def test_what_is_no_prediction_of_these_photos():
    for shape, labels in (((3, 2), np.zeros(4, int)), ((3,), np.zeros(3, int)), ((0, 2), np.zeros(0, int))):
        with pytest.raises(ValueError, match="a promise is made from"):
            promise(np.ones(shape), labels)


@pytest.mark.parametrize("shots", [12, 25, 50])
def test_the_interval_holds_the_accuracy_of_the_delivered_model(shots):
    """On 200 folders of two overlapping classes: nearest centroids, ten-fold, against the exact accuracy."""
    rng = np.random.default_rng(0)
    held = sharp = 0
    for _ in range(200):
        labels = np.repeat([0, 1], shots)
        x = rng.normal(size=(2 * shots, 20)) + labels[:, None] * 0.5
        part = np.concatenate([rng.permutation(shots) % 10 for _ in range(2)])
        said = np.empty((2 * shots, 2))
        for fold in range(10):
            said[part == fold] = _centroids(x[part != fold], labels[part != fold], x[part == fold])
        truth = np.repeat([0, 1], 2000)
        new = rng.normal(size=(4000, 20)) + truth[:, None] * 0.5
        accuracy = 100 * (_centroids(x, labels, new).argmax(1) == truth).mean()
        low, high = promise(said, labels).balanced_accuracy.interval
        held += low <= accuracy <= high
        sharp += high - low < 200 / (2 * shots) ** 0.5 * 1.5
    assert 180 <= held <= 199
    assert sharp > 150


def _centroids(x, labels, new):
    distance = np.stack([((new - x[labels == label].mean(0)) ** 2).sum(1) for label in (0, 1)], 1)
    likelihood = np.exp(-(distance - distance.min(1, keepdims=True)) / 2)
    return likelihood / likelihood.sum(1, keepdims=True)


def test_the_calibration_error_comes_with_that_of_chance():
    told = promise(sure([0] * 20 + [1] * 20), np.repeat([0, 1], 20))
    few = promise(sure([0] * 5 + [1] * 5), np.repeat([0, 1], 5))
    assert 0 < told.ece_by_chance < few.ece_by_chance < 30
