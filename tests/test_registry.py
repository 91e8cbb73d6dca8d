"""Names: registered once, found, and the nearest one suggested."""

import subprocess
import sys

import pytest

from fewshot.errors import UsageError
from fewshot.registry import Registry
from fewshot.seeding import rng, stream_seed


@pytest.fixture
def fruit():
    registry = Registry("fruit")

    @registry.register("apple", version=2, colour="red")
    def apple():
        """A pome.

        More of it.
        """
        return "apple!"

    return registry


def test_a_definition_carries_what_was_registered(fruit):
    definition = fruit["apple"]
    assert (definition(), definition.version, definition.traits["colour"]) == ("apple!", 2, "red")
    assert definition.summary == "A pome."
    assert list(fruit) == ["apple"]


def test_unknown_names_suggest_the_nearest(fruit):
    with pytest.raises(UsageError, match="unknown fruit 'aple': did you mean 'apple'"):
        fruit["aple"]
    with pytest.raises(UsageError, match="unknown fruit 'xyz': known are apple"):
        fruit["xyz"]


def test_a_name_can_be_taken_once(fruit):
    with pytest.raises(ValueError, match="registered already"):
        fruit.register("apple")(lambda: None)


def test_streams_are_independent_and_repeatable():
    assert rng(3, "shuffle").random() == rng(3, "shuffle").random()
    draws = {rng(seed, stream).random() for seed in range(10) for stream in ("shuffle", "augment")}
    assert len(draws) == 20
    assert 0 <= stream_seed(0, "x") < 2**32
    assert stream_seed(0, "x") != stream_seed(1, "x")


def test_help_imports_nothing_heavy():
    heavy = ["tensorflow", "keras", "albumentations", "matplotlib", "scipy", "sklearn", "joblib", "PIL"]
    code = (
        "import sys, experiments.augment as a, experiments.benchmark\n"
        "try: a.main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
