"""Seeds trained together on JAX: the same as one by one, but for rounding."""

import copy
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from helpers import Brightness, trials_of

from fewshot.learners.keras_network import KerasLearner
from fewshot.training.recipe import Recipe
from fewshot.trials import together


@dataclass
class Grouped(Brightness):
    """Says with how many seeds at once it was trained: in the place of the updates."""

    wide: bool = False

    trains_together: ClassVar[bool] = True

    def gains_together(self, shape, outputs):
        assert (shape, outputs) == ((16, 16, 3), 10)
        return not self.wide

    def fit_together(self, trains, seeds):
        fitted = [copy.copy(self).fit(train, seed) for train, seed in zip(trains, seeds, strict=True)]
        for learner in fitted:
            learner.fitted = replace(learner.fitted, updates=len(fitted))
        return fitted


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("wide", [False, True])
def test_seeds_of_wide_networks_are_trained_one_after_the_other(data, results, monkeypatch, capsys, wide):
    monkeypatch.setattr(together, "fits", lambda trial: True)
    records = results(trials_of(data, Grouped(wide=wide)), executor=together.Together())
    assert [record.updates for record in records if record.ok] == ([1, 1, 1] if wide else [3, 3, 3])
    said = "a is wide: its seeds are trained one after the other"
    assert capsys.readouterr().err.splitlines() == ([said] if wide else [])


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    ("network", "gains"),
    [("compact", True), ("compact:width=32", False), ("wrn:depth=10", False), ("wrn:depth=10,width=1", True)],
)
def test_a_network_is_wide_beyond_what_was_measured_to_gain(network, gains):
    assert KerasLearner(network).gains_together((32, 32, 3), 10) is gains


def test_ensembles_are_not_trained_together():
    learner = KerasLearner(recipe=Recipe(ensemble_size=3))
    assert not learner.gains_together((32, 32, 3), 10)


SCRIPT = """
import json, sys
import numpy as np
from fewshot import backend
from fewshot.data import DataSpec, prepare
from fewshot.data.protocols import Protocol
from fewshot.learners.keras_network import KerasLearner
from fewshot.training.recipe import Recipe
from fewshot.trials import together
from fewshot.trials.store import Store
from fewshot.trials.run import run
from fewshot.trials.trial import Trial

together.fits = lambda trial: trial.method != "alone"  # on a GPU it would say so
fit_together = KerasLearner.fit_together

def full(learner, trains, seeds):
    if len(seeds) == 3 and learner.recipe.epochs == 8:  # "plain" is then trained in halves
        raise RuntimeError("RESOURCE_EXHAUSTED: the device's memory")
    return fit_together(learner, trains, seeds)

KerasLearner.fit_together = full
data = prepare(DataSpec("digits"))
protocol = Protocol("stratified", 2, 20)
methods = {
    "plain": KerasLearner("baseline:width=4,norm=batch", Recipe(epochs=8, batch=16, online="flip+cutout")),
    "averaged": KerasLearner("compact:width=4", Recipe(epochs=4, ema=0.5, schedule="one-cycle")),
    "diverging": KerasLearner("baseline:width=4", Recipe(epochs=4, learning_rate=1e30)),
    "alone": KerasLearner("baseline:width=4", Recipe(epochs=2)),
}
trials = [Trial(m, learner, protocol, data, seed) for seed in range(3) for m, learner in methods.items()]
found = {}
for name, executor in (("one by one", None), ("together", together.Together())):
    with Store(f"{sys.argv[1]}/{name}").open() as store:
        records = run(trials, store, executor)
        paths = [store.predictions_path(record.key) for record in records if record.ok]
        probabilities = [np.load(path)["probabilities"].ravel().tolist() for path in paths]
    fields = ("method", "seed", "status", "reason", "accuracy", "curve")
    found[name] = {
        "records": [[getattr(record, field) for field in fields] for record in records],
        "probabilities": probabilities,
    }
print(json.dumps(found))
"""


@pytest.mark.jax
def test_together_is_the_same_as_one_by_one(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    alone, together = found["one by one"], found["together"]
    assert len(together["records"]) == 12
    for one, other in zip(alone["records"], together["records"], strict=True):
        assert one[:4] == other[:4]
        if one[2] == "failed":
            assert one[0] == "diverging"
            assert "no longer finite" in one[3]
            continue
        assert other[4] == pytest.approx(one[4], abs=1.0)  # a few images on the border
        assert other[5]["update"] == one[5]["update"]
        assert other[5]["loss"] == pytest.approx(one[5]["loss"], rel=1e-3, abs=1e-4)
    for one, other in zip(alone["probabilities"], together["probabilities"], strict=True):
        assert other == pytest.approx(one, abs=0.01)


SPREAD = """
import json
import jax, keras
import numpy as np
from fewshot import backend
from fewshot.data import Dataset
from fewshot.learners.keras_network import KerasLearner
from fewshot.training.recipe import Recipe

backend.start(1, "cpu")
prng = np.random.default_rng(0)
images = Dataset(prng.integers(0, 256, (50, 16, 16, 3), np.uint8), np.arange(50) % 2, ("a", "b"))
found = []
for spread in (False, True):
    if spread:
        backend.spread()
    network = "baseline:width=4,norm=batch" if spread else "baseline:norm=batch,width=4"  # compiled anew
    learner = KerasLearner(network, Recipe(epochs=6, batch=16, online="flip")).fit(images, 0)
    weight = learner._engine.network.trainable_variables[0].value
    scores = learner.predict(images.x).ravel().tolist()
    found.append([learner.fitted.curve["loss"], scores, len(weight.devices())])
print(json.dumps(found))
"""


@pytest.mark.jax
def test_a_batch_divided_among_devices_is_the_same():
    """Two devices that the processor pretends to have; a last batch of two images, and one of 16."""
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    done = subprocess.run([sys.executable, "-c", SPREAD], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    (loss, scores, devices), (other_loss, other_scores, other_devices) = json.loads(done.stdout)
    assert (devices, other_devices) == (1, 2)
    assert other_loss == pytest.approx(loss, rel=1e-3)
    assert other_scores == pytest.approx(scores, abs=0.01)
