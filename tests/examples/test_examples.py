"""The examples run, each in a folder of its own; with less training than they show."""

import runpy
import sys
from pathlib import Path

import pytest

from fewshot.models import cost, networks

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """Run an example in this process, as a script, and return what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(cost, "CALLS", 1)
    monkeypatch.setattr(cost, "SECONDS", 0)
    monkeypatch.setattr("fewshot.trials.plan.cores", lambda: 1)  # in this process: no workers to start
    known = set(networks)

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    yield run
    for name in set(networks) - known:
        networks.remove(name)


def test_every_example_is_tested():
    tested = {"01_photos_to_answer.py", "02_which_augmentation_helps.py", "03_your_own_network.py"}
    assert {path.name for path in EXAMPLES.glob("[0-9]*.py")} == tested
    assert all("# %%" in path.read_text() for path in EXAMPLES.glob("[0-9]*.py"))


def test_photos_to_answer(example, monkeypatch, tmp_path):
    monkeypatch.setattr("fewshot.compare.course.ROUNDS", 1)
    printed = example("01_photos_to_answer.py")
    assert "red" in printed
    assert (tmp_path / "results" / "compare" / "example-photos" / "model.keras").exists()
    assert "01.png: blue" in printed or "00.png: blue" in printed


def test_which_augmentation_helps(example, tmp_path):
    printed = example("02_which_augmentation_helps.py", "digits", "1", "2")
    assert "Δ to baseline" in printed
    assert "online:shift-crop: " in printed
    assert (tmp_path / "augmentation-curves.svg").exists()


def test_your_own_network(example, tmp_path):
    printed = example("03_your_own_network.py", "digits", "1", "2")
    assert "nearest" in printed
    assert (tmp_path / "mine.keras").exists()
