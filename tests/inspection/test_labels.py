"""Suspected wrong labels: found among simulated answers, and sure where one picture has two labels."""

import numpy as np
import pytest

from fewshot.inspection.labels import suspected_labels


def simulated(seed, flipped=0.1, n=150, classes=3, apart=3.0):
    """Return given labels, true ones, and the answers of models that learnt from the others' labels."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    rng = np.random.default_rng(seed)
    true = np.arange(n) % classes
    features = rng.normal(0, 1, (n, 8)) + apart * np.eye(8)[true]
    given = true.copy()
    wrong = rng.permutation(n)[: round(flipped * n)]
    given[wrong] = (given[wrong] + rng.integers(1, classes, len(wrong))) % classes
    model = LogisticRegression(C=0.3)
    return given, true, cross_val_predict(model, features, given, cv=5, method="predict_proba")


@pytest.mark.parametrize("flipped", [0.05, 0.1])
def test_flipped_labels_are_found(flipped):
    hits = wrong = named = 0
    for seed in range(3):
        given, true, answers = simulated(seed, flipped)
        suspects = suspected_labels(given, answers)
        named += len(suspects)
        wrong += int((given != true).sum())
        hits += sum(given[one.position] != true[one.position] for one in suspects)
        assert np.mean([one.suggested == true[one.position] for one in suspects]) > 0.7
    assert hits / wrong > 0.5
    assert hits / named > 0.7


def test_the_surest_come_first_and_are_right():
    given, true, answers = simulated(0)
    suspects = suspected_labels(given, answers)
    sure = [one.sure for one in suspects]
    assert sure == sorted(sure, reverse=True)
    assert min(sure) >= 0.25
    assert max(sure) <= 1
    assert all(given[one.position] != true[one.position] for one in suspects[:5])
    assert all(one.given == given[one.position] for one in suspects)


def test_right_labels_are_hardly_suspected():
    assert np.mean([len(suspected_labels(*simulated(seed, 0)[::2])) for seed in range(3)]) < 3


def test_overconfident_answers_are_no_surer():
    given, _, answers = simulated(1)
    sharp = answers**2 / (answers**2).sum(1, keepdims=True)
    plain = [one.position for one in suspected_labels(given, answers)]
    assert set(plain) == {one.position for one in suspected_labels(given, sharp)}


def test_one_picture_with_two_labels_is_the_surest_error():
    given, _, answers = simulated(2, 0)
    groups = np.arange(len(given))
    groups[[1, 3]] = 0  # images 0, 1 and 3: labels 0, 1, 0
    groups[8] = 5  # one label: no error
    first, *others = suspected_labels(given, answers, groups)
    assert (first.position, first.given, first.suggested, first.twin) == (1, 1, 0, 0)
    assert first.sure >= max([one.sure for one in others], default=0)
    assert 8 not in {one.position for one in others}
    assert [one.position for one in suspected_labels(given, groups=groups)] == [1]


def test_of_two_the_answers_decide():
    labels = np.array([0, 1, 0, 0, 1, 1])
    answers = np.array([[0.1, 0.9]] * 2 + [[0.9, 0.1]] * 2 + [[0.1, 0.9]] * 2)
    (one,) = suspected_labels(labels, answers, np.array([0, 0, 2, 3, 4, 5]))
    assert (one.position, one.suggested, one.twin) == (0, 1, 1)


def test_images_without_answers_and_classes_without_images():
    given, _, answers = simulated(3)
    answers = np.column_stack([answers, np.full(len(given), 1e-6)])
    answers[:10] = np.nan
    suspects = suspected_labels(given, answers)
    assert suspects
    assert min(one.position for one in suspects) >= 10
    assert 3 not in {one.suggested for one in suspects}
    assert suspected_labels(given, np.full(answers.shape, np.nan)) == ()
    assert suspected_labels(given) == ()
