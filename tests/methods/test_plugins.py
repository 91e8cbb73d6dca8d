"""Plugins: a user's own file is part of every study, also on worker processes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers import ALONE, QUICK, one_line, records

from fewshot.augment.offline import expansions
from fewshot.errors import UsageError
from fewshot.methods import plugins
from fewshot.models import networks
from fewshot.registry import visiting

MINE = '''
from fewshot.augment.offline import expansions
from fewshot.baselines import estimators
from fewshot.models import networks
from fewshot.training.recipe import Recipe, recipes


@networks.register("mine")
def mine(shape, outputs, *, width=8):
    """My network."""
    import keras

    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(width, 3, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(outputs)(keras.layers.GlobalMaxPooling2D()(x)))


@recipes.register("slow")
def slow():
    """My recipe."""
    return Recipe(learning_rate=0.0001)


@expansions.register("upside-down")
def upside_down():
    """Add each image upside down (2N)."""
    import albumentations as A

    return {"upside down": A.VerticalFlip(p=1)}


@estimators.register("forest")
def forest(*, trees=20):
    """My estimator."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(trees)
'''


@pytest.fixture
def plugin(tmp_path):
    def write(source=MINE):
        path = tmp_path / "plugin.py"
        path.write_text(source)
        return path

    return write


@pytest.mark.parametrize(
    ("study", "jobs"), [("augment", 1), pytest.param("cnn", 2, marks=pytest.mark.processes), ("zoo", 1)]
)
def test_all_that_a_plugin_registers_is_a_method_of_every_study(command, plugin, tmp_path, study, jobs):
    methods = ["mine:width=4,recipe=slow", "upside-down", "forest:trees=5", "ridge"]
    options = (*QUICK, "--updates", 1, "--jobs", jobs, "--plugin", plugin())
    done = command(study, *options, "--method", *methods, "--json")
    assert done.returncode == 0, done.stderr
    found = {row["method"]: row for row in json.loads(done.stdout)["methods"]}
    assert set(methods) < set(found)
    assert all(row["n"] == 2 for row in found.values())
    learners = {r.method: r.learner for r in records(tmp_path / "results").values()}
    assert learners["mine:width=4,recipe=slow"]["recipe"]["learning_rate"] == 0.0001
    assert learners["forest:trees=5"]["versions"]["estimator"].startswith("1 of plugin.py ")
    assert learners["ridge"]["versions"]["estimator"] == 2  # the project's own: a plain number, no digest


def test_the_guide_s_plugin_runs(command, plugin):
    guide = Path(__file__).parents[2] / "docs" / "guides" / "plugins.md"
    source = guide.read_text(encoding="utf-8").split("```python\n# mine.py\n")[1].split("```")[0]
    options = (*ALONE, "--seeds", 1, "--updates", 1, "--plugin", plugin(source))
    done = command("cnn", *options, "--method", "mine:width=8,recipe=patient", "forest")
    assert done.returncode == 0, done.stderr


def test_help_and_the_table_of_networks_tell_of_it(command, plugin):
    assert "upside-down" in command("augment", "--plugin", plugin(), "--help", out=None).stdout
    done = command("models", "--plugin", plugin(), "--network", "mine", "--no-time", "--json")
    assert json.loads(done.stdout)["networks"][0]["parameters"] == 3 * 9 * 8 + 8 + 8 * 10 + 10


def test_a_changed_plugin_is_computed_anew(command, plugin, tmp_path):
    line = ("cnn", *ALONE, "--updates", 1, "--method", "forest", "--plugin")
    assert command(*line, plugin()).returncode == 0
    again = command(*line, plugin())
    assert "4 of 4 trials were in the records already" in again.stderr
    changed = command(*line, plugin(MINE.replace("trees=20", "trees=30")))
    assert "2 of 4 trials were in the records already" in changed.stderr
    assert len(records(tmp_path / "results")) == 6


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "registers nothing: it needs a decorated function"),
        ("x = 1\nimport no_such_module", "line 2: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def broken(:", "SyntaxError"),
        (MINE.replace('"mine"', '"baseline"'), "the network 'baseline' is registered already"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_what_a_plugin_can_do_wrong(command, plugin, source, message):
    done = command("cnn", "--plugin", plugin(source))
    assert done.returncode == 2
    assert message in one_line(done.stderr)


def test_a_plugin_that_is_not_there(command):
    done = command("models", "--plugin", "nowhere.py")
    assert done.returncode == 2
    assert "cannot read the plugin nowhere.py: No such file or directory" in one_line(done.stderr)


def test_a_plugin_that_fails_leaves_nothing(plugin, monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, "")
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        plugins.load(plugin(MINE + "\n1 / 0\n"))
    assert "mine" not in networks
    assert "upside-down" not in expansions
    assert os.environ[plugins.VARIABLE] == ""


def test_versions_say_where_a_definition_comes_from():
    with visiting("/somewhere/here.py", "0123456789abcdef") as visitor:
        networks.register("visitor", version=2, least_size=1)(np.zeros)
    assert networks["visitor"].version.startswith("2 of here.py ")
    assert visitor.registered == [(networks, "visitor")]
    networks.remove("visitor")


def test_a_changed_file_is_loaded_again_in_the_same_process(plugin, monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, "")
    source = "from fewshot.models import networks\n\n\n@networks.register('mine')\ndef mine(): ...\n"
    try:
        plugins.load(plugin(source))
        first = networks["mine"]
        plugins.load(plugin(source))
        assert networks["mine"] is first
        plugins.load(plugin(source + "# changed\n"))
        assert networks["mine"].version != first.version
        with pytest.raises(UsageError, match="ZeroDivisionError"):
            plugins.load(plugin(source + "1 / 0\n"))
        assert networks["mine"].version != first.version
    finally:
        networks.remove("mine")


def test_what_a_notebook_defines_reaches_worker_processes():
    """By value, in the version that it has here."""
    source = "@networks.register('mine')\ndef mine(shape, outputs):\n    return FACTOR * outputs\n"
    exec(compile(source, "<cell>", "exec"), {"__name__": "__main__", "networks": networks, "FACTOR": 3})
    version, content = networks["mine"].version, plugins.portable()
    networks.remove("mine")
    assert plugins.portable() == b""
    plugins.receive(content)
    try:
        assert networks["mine"].version == version
        assert networks["mine"](None, 2) == 6
    finally:
        networks.remove("mine")
