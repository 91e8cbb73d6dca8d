"""Networks from scratch as methods of the testbed: the learner's contract, names, what cannot be."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import learner

from fewshot import backend, settings
from fewshot.baselines.numpy_net import build
from fewshot.data.protocols import Protocol
from fewshot.errors import UsageError
from fewshot.learners.numpy_network import NumpyLearner
from fewshot.training.recipe import Recipe
from fewshot.trials.trial import Trial


@pytest.mark.parametrize("name", ["numpy-fc3:dropout=0.2", "numpy-conv16:norm=batch"])
def test_a_learner_learns_and_repeats(task, name):
    one, test = (
        NumpyLearner(name, Recipe(epochs=5, batch=20, tta_flip=True)),
        task.test.take(np.arange(0, 700, 7)),
    )
    probabilities = one.fit(task.train, 0).predict(test.x)
    assert probabilities.shape == (100, 10)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities.argmax(1) == test.y).mean() > 0.9
    assert np.allclose(one.predict(test.x[:, :, ::-1]), probabilities, atol=1e-5)
    assert np.array_equal(replace(one).fit(task.train, 0).predict(test.x), probabilities)
    assert not np.array_equal(replace(one).fit(task.train, 1).predict(test.x), probabilities)


def test_fit_says_what_it_took(task):
    one = NumpyLearner("numpy-conv16", Recipe(epochs=2, batch=64), offline="flip")
    fitted = one.fit(task.train, 0, watch=task.test.take(np.arange(10))).fitted
    assert (fitted.n_train, fitted.updates, fitted.images_seen) == (200, 8, 400)
    assert fitted.parameters == 28 * 16 + 145 * 16 + (8 * 8 * 16 + 1) * 10
    assert set(map(len, fitted.curve.values())) == {8}
    assert "held_out_loss" not in one.fit(task.train, 0).fitted.curve


def test_a_trial_of_a_numpy_network(data, results):
    name = "numpy-fc3:init=xavier,epochs=5"
    one = learner(name, {})
    (record,) = results([Trial(name, one, Protocol(), data, 0)])
    assert record.status == "ok"
    assert record.accuracy > 90
    assert record.learner["kind"] == "NumpyLearner"
    assert record.learner["network"] == "numpy-fc3:init=xavier"
    assert record.learner["libraries"] == backend.versions("numpy")


def test_names_of_methods():
    one = learner("numpy-fc3:init=he,epochs=10,dropout=0.5,optimizer=adam,offline=flip", {"epochs": 7})
    assert one == NumpyLearner("numpy-fc3:dropout=0.5", Recipe(optimizer="adam", epochs=7), "flip")
    assert settings.split(learner("numpy-conv4:pool=none", {}).network) == ("numpy-conv4", {"pool": "none"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("numpy-fc33", "did you mean 'numpy-fc3'"),
        ("numpy-fc3:inti=he", "did you mean 'init'"),
        ("numpy-fc3:init=h", "unknown init of the method 'numpy-fc3' 'h'"),
        ("numpy-fc3:pool=max", "unknown setting of the method 'numpy-fc3' 'pool'"),
        ("imagenet/alexnet:head=numpy-fc3", "unknown head 'numpy-fc3'"),
        ("numpy-fc3:dropout=1", "dropout wants 0 or more, and below 1"),
        ("numpy-fc3:recipe=best", "cannot follow a recipe's online"),
        ("numpy-fc3:ensemble_size=2", "cannot follow a recipe's ensemble_size"),
        ("numpy-fc3:offline=mixing(flip)", "averages images in the graph"),
        ("numpy-conv4", "takes images from 4×4 on"),
    ],
)
def test_what_cannot_be_is_said_before_training(name, message):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        learner(name, {}).check((3, 3, 3))


def test_least_sizes():
    learner("numpy-conv4:pool=none", {}).check((1, 1, 3))
    learner("numpy-conv32", {}).check((2, 2, 3))
    network = build("numpy-conv4", (5, 7, 3), 2, seed=0)  # odd sides: the rest is cut
    assert network.predict(np.zeros((3, 5, 7, 3), np.uint8)).shape == (3, 2)


def test_plugins_find_our_networks_registered():
    """Else ours, imported by a plugin, would carry its version, and on worker processes alone."""
    code = (
        "import sys, fewshot.methods.plugins; print('fewshot.baselines.numpy_net.definitions' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
