"""`import fewshot as fs`: light, complete, and callable where a folder has a function's name."""

import inspect
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


def test_folders_that_are_functions():
    import fewshot.compare.clock
    import fewshot.methods.plugins  # noqa: F401

    assert inspect.ismodule(fs.compare)
    assert "budget" in inspect.signature(fs.compare).parameters
    assert "tag" in inspect.signature(fs.methods).parameters
    assert fs.compare.clock.seconds("2m") == 120


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'fewshot' has no attribute 'lod'"):
        fs.lod  # noqa: B018
