"""What is measured: hand-computed answers, and scikit-learn's definitions."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from fewshot.stats.metrics import confusion, measure, most_confused, per_class, scores


def test_accuracy_balanced_accuracy_and_likelihood_by_hand():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.0, 0.0, 1.0]])
    found = measure(probabilities, np.array([0, 0, 2]))
    assert found["accuracy"] == pytest.approx(200 / 3)
    assert found["balanced_accuracy"] == pytest.approx(75)  # a half of class 0, all of class 2
    assert found["nll"] == pytest.approx(-(np.log(0.5) + np.log(0.2)) / 3)
    certain = measure(np.array([[1.0, 0.0]]), np.array([1]))
    assert certain["nll"] == pytest.approx(-np.log(1e-12))  # wrong and certain stays finite


def test_confusion_and_scores_by_hand():
    labels, answers = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])
    matrix = confusion(labels, answers, 3)
    assert matrix.tolist() == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    found = scores(matrix)
    assert found["accuracy"] == pytest.approx(50)
    assert found["precision"] == pytest.approx(100 * (2 / 4 + 1 / 2 + 0) / 3)
    assert found["recall"] == pytest.approx(100 * (2 / 3 + 1 / 2 + 0) / 3)
    assert found["f1"] == pytest.approx(100 * (4 / 7 + 1 / 2 + 0) / 3)


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("seed", range(5))
def test_the_same_as_scikit_learn(classes, seed):
    prng = np.random.default_rng(seed)
    # Few images of many classes: some have no label, some no answer, some neither.
    labels, answers = prng.integers(0, classes, (2, 3 + 7 * seed))
    found = scores(confusion(labels, answers, classes))
    reference = precision_recall_fscore_support(labels, answers, average="macro", zero_division=0)[:3]
    assert [found[name] for name in ("precision", "recall", "f1")] == pytest.approx(100 * np.array(reference))
    assert found["accuracy"] == pytest.approx(100 * accuracy_score(labels, answers))
    expected = confusion_matrix(labels, answers, labels=range(classes))
    assert np.array_equal(confusion(labels, answers, classes), expected)


def test_small_integers_do_not_overflow():
    """Answers are stored in few bits: 16 × 16 classes do not fit into eight."""
    labels = np.array([15, 3], np.int8)
    assert confusion(labels, labels, 16)[15, 15] == 1


def test_classes_and_mistakes_by_hand():
    matrix = np.array([[2, 1, 0], [3, 1, 0], [0, 0, 0]])
    assert per_class(matrix)[:2] == pytest.approx([200 / 3, 25])
    assert np.isnan(per_class(matrix)[2])
    assert most_confused(matrix, 3) == [(1, 0, 3), (0, 1, 1)]
