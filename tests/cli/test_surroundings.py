"""Shells: output in any encoding, paths with ~, notebooks' variables, the signal that ends a program."""

import contextlib
import importlib
import io
import json
import os
import signal
import subprocess
import sys

import pytest

from experiments import predict
from experiments.__main__ import FRONT
from fewshot import cli
from fewshot.errors import UsageError


def parser():
    made = cli.Parser(prog="mine")
    cli.add_out(made, "all")
    return made


def run(program, argv=()):
    return cli.run(program, parser, list(argv))


NARROW = pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])


@contextlib.contextmanager
def output_in(encoding, monkeypatch):
    """Yield what returns standard output, which is in an encoding that lacks Δ, as Windows may have it."""
    content = io.BytesIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(content, encoding=encoding, newline="\n"))
        yield lambda: content.getvalue().decode(encoding)


@NARROW
def test_what_an_encoding_lacks_is_replaced(encoding, monkeypatch):
    with output_in(encoding, monkeypatch) as shown:
        assert run(lambda args: print("Δ to baseline: 写真 \udc80")) == 0
        assert shown() == "? to baseline: ?? ?\n"


@NARROW
def test_json_stays_whole_in_any_encoding(encoding, monkeypatch):
    with output_in(encoding, monkeypatch) as shown:
        assert run(lambda args: print(cli.as_json({"写真": "Δ"}))) == 0
        assert json.loads(shown()) == {"写真": "Δ"}


def test_help_can_be_shown_in_any_encoding(monkeypatch):
    with output_in("ascii", monkeypatch) as shown:
        for name, command in FRONT.commands.items():
            with pytest.raises(SystemExit) as ended:
                FRONT.main([*name.split(), "--help"])
            assert ended.value.code == 0, command
        assert FRONT.main(["--help"]) == 0
        assert "usage" in shown()


def test_json_in_unicode_is_readable():
    assert cli.as_json({"a": "Δ"}, indent=None) == '{"a": "Δ"}'


def test_a_tilde_is_the_home_folder_in_every_option_that_takes_a_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    seen = {}
    assert run(lambda args: seen.update(vars(args)), ["--out=~/results"]) == 0
    assert seen["out"] == "/home/me/results"
    for name, command in FRONT.commands.items():
        for action in options_of(command, monkeypatch):
            shown = str(action.metavar or "")
            if (
                "DIR" in shown or "FILE" in shown or "MODEL" in shown
            ) and "--plugin" not in action.option_strings:
                assert action.type is not None, (name, action.option_strings or action.dest)
                assert action.type("~/x.png") == "/home/me/x.png", (
                    name,
                    action.option_strings or action.dest,
                )


def options_of(command, monkeypatch):
    """Return the options of a command, which parses and stops."""
    caught = []

    class Stop(Exception):
        pass

    def stop(self, *args, **kwargs):
        caught.append(self)
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(cli.Parser, "parse_args", stop)
        if command.name == "search":
            return []
        with pytest.raises(Stop):
            importlib.import_module(command.module).main([])
    return caught[-1]._actions


def test_pictures_are_files_whatever_a_notebook_has_set(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    assert run(lambda args: None) == 0
    assert os.environ["MPLBACKEND"] == "agg"


def test_sigterm_ends_as_ctrl_c_does(capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert run(lambda args: os.kill(os.getpid(), signal.SIGTERM)) == 143
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith("mine: interrupted; finished trials are recorded")
    )
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("https://example.org/cat.jpg", "an address of the web: download the photo first"),
        ("photos/*.jpg", "a pattern is written without quotes"),
        ("cat.jpg", "no such file"),
    ],
)
def test_predict_says_why_there_is_no_such_file(named, told):
    with pytest.raises(UsageError, match=told):
        predict._files([named], [], {})


def test_optimised_python_that_drops_docstrings_shows_help():
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "experiments.explore", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_joblibs_watcher_is_told_not_to_call_a_killed_run_a_leak(monkeypatch):
    from fewshot.trials import processes

    monkeypatch.setenv("PYTHONWARNINGS", "default")
    processes._hold_back_leaks()
    processes._hold_back_leaks()
    assert os.environ["PYTHONWARNINGS"] == f"default,{processes.LEAKS}"
