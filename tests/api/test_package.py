"""`import fewshot as fs`: light, complete, and callable where a folder has a function's name."""

import subprocess
import sys

import pytest

import fewshot as fs


def test_every_public_name_is_there():
    for name in fs.__all__:
        assert getattr(fs, name) is not None
        assert name in dir(fs)


def test_the_import_is_light():
    code = (
        "import sys, time; begin = time.perf_counter(); import fewshot; print(time.perf_counter() - begin, "
        "sorted({'numpy', 'keras', 'tensorflow', 'matplotlib', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, _, heavy = done.stdout.strip().partition(" ")
    assert heavy == "[]"
    assert float(seconds) < 0.5  # 0.03 on a quiet machine


def test_nothing_else_is_listed():
    assert set(dir(fs)) == set(fs.__all__)


@pytest.mark.parametrize("first", ["", "import fewshot.compare.run, fewshot.methods.plugins", "fs.compare"])
def test_functions_are_not_hidden_by_folders_of_their_name(first):
    """Whatever was imported or used before, in a process of its own."""
    code = f"""
import inspect, pydoc
import fewshot as fs
{first}
import fewshot.compare.clock as clock
import fewshot.methods.heads
from fewshot import compare, methods
for name in ("compare", "methods"):
    assert inspect.isfunction(getattr(fs, name)), name
assert compare is fs.compare and methods is fs.methods
help = pydoc.render_doc(fs.compare, renderer=pydoc.plaintext)
assert "budget" in help.splitlines()[2] and "PACKAGE CONTENTS" not in help, help
assert "tag" in inspect.signature(fs.methods).parameters
assert fs.compare.clock.seconds("2m") == clock.seconds("2m") == 120
from fewshot.compare import run
assert fs.compare.run is run
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'fewshot' has no attribute 'lod'"):
        fs.lod  # noqa: B018
