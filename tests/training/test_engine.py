"""A trial: what its record says, and the key that names it by all that determines the result."""

import itertools
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from helpers import Brightness, trials_of

from fewshot import backend
from fewshot.data import Prepared, open_splits
from fewshot.data.protocols import Protocol
from fewshot.learners.keras_network import KerasLearner
from fewshot.models import networks
from fewshot.training.recipe import Recipe
from fewshot.trials.trial import Trial


def keras_trial(**changes):
    data = Prepared("blobs", Path("blobs"), ("a", "b"), "0" * 64, "testbed", 2)
    return replace(Trial("none", KerasLearner(), Protocol(), data, 0), **changes)


# Records


def test_a_record_says_everything(data, results):
    (record,) = results(trials_of(data, Brightness(), seeds=1))
    assert record.status == "ok"
    assert record.reason is None
    assert len(record.classes) == 2
    assert 0 <= record.accuracy <= 100
    assert record.balanced_accuracy == pytest.approx(record.accuracy)  # the task is balanced
    assert record.nll > 0
    assert [getattr(record, k) for k in ("n_train", "updates", "images_seen", "parameters")] == [
        100,
        1,
        100,
        2,
    ]
    assert record.curve["loss"] == [1.0]
    assert record.seconds > 0
    assert [getattr(record, k) for k in ("method", "seed", "threads", "device")] == ["a", 0, 1, "cpu"]
    assert {"kind": "Brightness", "scale": 20.0, "diverges": []}.items() <= record.learner.items()
    assert {"name": "testbed", "shots": 50, "data": "blobs"}.items() <= record.protocol.items()
    assert record.protocol["content"] == data.fingerprint
    assert record.date
    assert record.machine["cpu"]
    assert record.fewshot


def test_the_record_of_a_keras_learner_says_its_recipe_and_versions():
    described = KerasLearner(recipe=Recipe(epochs=7)).describe()
    assert described["recipe"].items() <= asdict(Recipe(epochs=7)).items()
    assert "tta_shift" not in described["recipe"]  # came later: records from before stay valid
    assert KerasLearner(recipe=Recipe(tta_shift=1)).describe()["recipe"]["tta_shift"] == 1
    assert {"engine", "network"} <= described["versions"].keys()
    assert {"keras", backend.name(), "numpy"} <= described["libraries"].keys()


def test_accuracy_and_nll_are_those_of_the_predictions(data, results, tmp_path):
    (record,) = results(trials_of(data, Brightness(), seeds=1))
    with np.load(tmp_path / "results" / "predictions" / f"{record.key}.npz") as kept:
        probabilities, labels = kept["probabilities"], kept["labels"]
    assert record.accuracy == pytest.approx(100 * np.mean(probabilities.argmax(1) == labels))
    likelihood = probabilities[np.arange(len(labels)), labels].astype(float)
    assert record.nll == pytest.approx(-np.log(likelihood).mean(), abs=2e-3)


def test_predictions_lead_back_to_the_images(data, blobs, results, tmp_path):
    trials = trials_of(data, Brightness(), seeds=1)
    (record,) = results(trials)
    task = trials[0].protocol.sample_task(open_splits(data.folder), 0)
    with np.load(tmp_path / "results" / "predictions" / f"{record.key}.npz", allow_pickle=False) as kept:
        assert kept["probabilities"].dtype == np.float16
        assert kept["probabilities"].shape == (700, 10)
        held_out = blobs.parts[str(kept["part"])]
        np.testing.assert_array_equal(held_out.x[kept["index"]], task.test.x)
        np.testing.assert_array_equal(held_out.y[kept["index"]], kept["labels"])
        np.testing.assert_array_equal(blobs.train.x[kept["train_index"]], task.train.x)
        assert not set(kept["index"]) & set(kept["train_index"])


# Keys


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": Protocol("testbed-test")},
        {"protocol": Protocol(shots=20)},
        {"protocol": Protocol(classes=("a", "b"))},
        {"protocol": Protocol(balanced=False)},
        {"learner": KerasLearner(recipe=Recipe(epochs=99))},
        {"learner": KerasLearner(recipe=Recipe(learning_rate=0.02))},
        {"learner": KerasLearner(offline="flip")},
        {"learner": Brightness()},
        {"data": replace(keras_trial().data, fingerprint="1" * 64)},
        {"seed": 1},
        {"threads": 2},
        {"device": "gpu"},
    ],
    ids=str,
)
def test_the_key_changes_with_what_determines_the_result(changes):
    assert keras_trial(**changes).key != keras_trial().key


@pytest.mark.parametrize("changes", [{"method": "other"}, {"curves": True}], ids=str)
def test_the_key_does_not_change_with_what_does_not(changes):
    assert keras_trial(**changes).key == keras_trial().key


def test_the_key_does_not_change_with_the_place_of_the_data():
    trial = keras_trial()
    assert replace(trial, data=replace(trial.data, folder=Path("elsewhere"))).key == trial.key


def test_the_key_changes_with_the_versions(monkeypatch):
    keys = [keras_trial().key]
    with monkeypatch.context() as patch:
        patch.setattr("fewshot.learners.keras_network.ENGINE_VERSION", 999)
        keys.append(keras_trial().key)
    with monkeypatch.context() as patch:
        patch.setitem(networks._definitions, "baseline", replace(networks["baseline"], declared=999))
        keys.append(keras_trial().key)
    with monkeypatch.context() as patch:
        patch.setattr(backend, "versions", lambda *packages: dict.fromkeys(packages, "999"))
        keys.append(keras_trial().key)
    assert len(set(keys)) == 4
    assert keras_trial().key == keys[0]


def test_every_pair_of_trials_differs_in_key():
    learners = [KerasLearner(offline=name) for name in ("none", "flip")]
    trials = [keras_trial(learner=learner, seed=seed) for learner in learners for seed in range(5)]
    assert all(a.key != b.key for a, b in itertools.combinations(trials, 2))
