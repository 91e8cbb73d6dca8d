"""Predictions of many tasks together: confusion and calibration against values counted by hand."""

import numpy as np
import pytest
from helpers import keep, kept

from fewshot.data.protocols import Protocol, protocols
from fewshot.report.page.matrix import LARGEST, confusion, matrix
from fewshot.report.plots.calibration import calibrate
from fewshot.report.predictions import OTHER, Pooled, pool
from fewshot.trials.predictions import read_predictions
from fewshot.trials.store import Store


def predictions(labels, predicted, classes=4, confidence=0.75):
    """As the testbed keeps them: float16 probabilities over all classes of the dataset, its labels."""
    probabilities = np.full((len(labels), classes), (1 - confidence) / (classes - 1), np.float16)
    probabilities[np.arange(len(labels)), predicted] = confidence
    places = {"index": np.arange(len(labels)), "part": np.array("train")}
    return {"probabilities": probabilities, "labels": np.array(labels), **places}


@pytest.fixture
def folder(tmp_path):
    """Task 0: dog (label 2) against cat (label 0). Task 1: cat against fox (label 3)."""
    first, second = kept("a", 0, 60.0, classes=["dog", "cat"]), kept("a", 1, 60.0, classes=["cat", "fox"])
    keep(tmp_path, first, predictions=predictions([2, 2, 0, 0], [2, 0, 0, 1]))
    keep(tmp_path, second, predictions=predictions([0, 0, 3, 3], [0, 0, 3, 0]))
    return tmp_path, [first, second]


def test_tasks_of_different_classes_are_pooled_by_name(folder):
    path, records = folder
    pooled = pool(Store(path), [*records, kept("a", 2, None)])
    assert pooled.names == ("cat", "dog", "fox", OTHER)
    assert pooled.truth.tolist() == [1, 1, 0, 0, 0, 0, 2, 2]
    assert pooled.predicted.tolist() == [1, 0, 0, 3, 0, 0, 2, 0]
    assert confusion(pooled).tolist() == [[75, 0, 0, 25], [50, 50, 0, 0], [50, 0, 50, 0], [0, 0, 0, 0]]
    assert pooled.met[:3, :3].tolist() == [[True, True, True], [True, True, False], [True, False, True]]
    assert not pooled.missing


def test_the_matrix_shows_every_share_and_leaves_empty_what_never_met(folder):
    path, records = folder
    text = matrix(pool(Store(path), records))
    dog = text[text.index('scope="row">dog') :].split("</tr>")[0]
    assert [cell.partition(">")[2] for cell in dog.split("</td>")[:-1]][1:] == ["50.0", "", "", "2"]
    assert '<td style="--share: 0.750" class="right">75.0</td>' in text


def test_many_classes_become_a_list_of_confusions():
    names = tuple(f"class {i}" for i in range(LARGEST + 1))
    truth = np.repeat(np.arange(len(names)), 4)
    predicted = truth.copy()
    predicted[:3] = 7
    pooled = Pooled(names, truth, predicted, np.ones(len(truth)), np.ones((len(names),) * 2, bool), ())
    assert "<li>class 0, taken for class 7: 75.0 %</li>" in matrix(pooled)
    assert matrix(pooled).count("<li>") == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"PK\x03\x04 torn"),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: np.savez(path, labels=np.arange(2)),
        lambda path: np.savez(path, probabilities=np.array([{}], object), labels=np.arange(1)),
        lambda path: np.savez(path, **predictions([0, 9], [0, 1])),
        lambda path: np.savez(path, **predictions([0, 1, 2], [0, 1, 2])),
        lambda path: np.savez(path, **predictions([0, 1], [0, 1], confidence=np.nan)),
        lambda path: np.savez(path, **predictions([0, 1], [0, 1]) | {"index": np.arange(3)}),
        lambda path: np.savez(path, **predictions([0, 1], [0, 1]) | {"part": np.arange(2)}),
    ],
    ids=[
        "none",
        "torn",
        "cut",
        "lacking",
        "pickled",
        "label too high",
        "a class too many",
        "not finite",
        "an index too many",
        "no part",
    ],
)
def test_what_cannot_be_read_is_named_and_left_out(folder, spoil):
    path, records = folder
    spoil(Store(path).predictions_path(records[0].key))
    pooled = pool(Store(path), records)
    assert pooled.missing == (records[0].key,)
    assert pooled.truth.tolist() == [0, 0, 2, 2]


def test_predictions_are_read_by_record_and_by_key(folder):
    path, (first, _) = folder
    by_record, by_key = (read_predictions(Store(path), trial) for trial in (first, first.key))
    for read in (by_record, by_key):
        assert read.answers.tolist() == [2, 0, 0, 1]
        assert (read.labels.tolist(), read.index.tolist(), read.part) == ([2, 2, 0, 0], [0, 1, 2, 3], "train")
    assert read_predictions(Store(path), "elsewhere") is None


def test_no_predictions_at_all(tmp_path):
    pooled = pool(Store(tmp_path), [kept("a", 0, 60.0)])
    assert (len(pooled.truth), len(pooled.missing)) == (0, 1)
    assert calibrate(pooled).ece == 0


def test_calibration_by_hand():
    right = np.array([1, 1, 1, 0, 1, 0], bool)
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    pooled = Pooled(
        ("a", "b"), np.zeros(6, int), np.where(right, 0, 1), confidence, np.ones((2, 2), bool), ()
    )
    found = calibrate(pooled)
    assert found.confidence == pytest.approx([0.55, 0.95])
    assert found.accuracy == pytest.approx([0.5, 0.75])
    assert found.count.tolist() == [2, 4]
    assert found.ece == pytest.approx(100 * (2 * 0.05 + 4 * 0.20) / 6)


def test_certainty_falls_into_the_last_bin():
    pooled = Pooled(("a",), np.zeros(2, int), np.zeros(2, int), np.ones(2), np.ones((1, 1), bool), ())
    assert calibrate(pooled).ece == 0


@pytest.mark.parametrize("name", list(protocols))
def test_protocols_hold_out_their_classes_in_the_order_in_which_they_name_them(blobs, name):
    """What `pool` relies on, to tell which label has which name."""
    ways = protocols[name].traits.get("ways", 2)
    task = Protocol(name, ways=ways, shots=20).sample_task(blobs, 0)
    assert [blobs.classes[label] for label in dict.fromkeys(task.test.y.tolist())] == list(task.classes)
