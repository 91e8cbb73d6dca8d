"""The command `fewshot`: one screen of help, sub-commands imported when called, completion, any directory."""

import json
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import experiments.__main__ as front
import fewshot
from fewshot import cli

ROOT = Path(fewshot.__file__).parents[1]
COMMANDS = front.FRONT.commands
HEAVY = (
    "numpy._core",
    "tensorflow",
    "keras",
    "jax",
    "torch",
    "albumentations",
    "matplotlib",
    "distributed",
    "pandas",
    "gradio",
    "argcomplete",
)
SHARED = {
    "--json",
    "--out",
    "--threads",
    "--device",
    "--plugin",
    "--cache-dir",
    "--data",
    "--seeds",
    "--jobs",
}
WITHOUT = {  # what a command lacks, as it would do nothing there
    "--plugin": {"search", "next", "try"},  # search hands it on
    "--cache-dir": {"search", "report", "predict", "next", "try", "gan generate"},
}


def script(*args, cwd=None, **env):
    """Call the installed command's function as its script does: the current directory is on no path."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert list(entry) == ["fewshot"]
    module, function = entry["fewshot"].split(":")
    code = f"import sys; sys.argv[0] = 'fewshot'; from {module} import {function}; sys.exit({function}())"
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": path} | env,
    )


def said(capsys, *args) -> tuple[int, str, str]:
    try:
        code = front.main(list(args))
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def parser(name: str):
    """Return the parser of a sub-command, as its help is printed by it."""
    module = import_module(COMMANDS[name].module)
    place = sys.modules[module.main.__module__] if hasattr(module.main, "__module__") else module
    for candidate in (getattr(module.main, "__self__", None), module, place):
        for function in ("parser", "_parser"):
            if callable(getattr(candidate, function, None)):
                return getattr(candidate, function)()
    raise AssertionError(f"{name} has no parser")


def test_the_help_fits_a_screen_and_says_where_to_begin(capsys):
    for args in ((), ("--help",), ("-h",)):
        code, out, err = said(capsys, *args)
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 100
        assert "fewshot compare --data path/to/photos" in out
        assert all(name in out for name in COMMANDS)


def test_the_version(capsys):
    assert said(capsys, "--version") == (0, f"fewshot {fewshot.__version__}\n", "")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["augmnt"], "unknown command 'augmnt': did you mean 'augment'? known are compare, "),
        (["gan"], "gan wants one of: gan train, gan generate"),
        (["gan", "trane"], "gan wants one of"),
        (["--data", "digits"], "name a command before --data"),
        (["augment", "--data", "digits", "--method", "flp"], "unknown method 'flp': did you mean 'flip'?"),
        (["augment", "--no-such"], "unrecognized arguments: --no-such (--help"),
        (["augment", "--epoch", "3"], "unrecognized arguments: --epoch 3: did you mean --epochs?"),
        (["methods", "--tga=compare"], "did you mean --tag?"),
    ],
)
def test_wrong_usage_is_one_line(capsys, args, message):
    code, out, err = said(capsys, *args)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("fewshot")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("args", [["methods"], ["methods", "--json"], ["augment", "--help"], ["--help"]])
def test_a_reader_that_stops_early_is_no_error(args):
    """`fewshot methods | head -1`: also where all that is printed fits into the pipe."""
    for options in ([], ["-u"]):
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, *options, "-m", "experiments", *args]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
        os.close(writer)
        assert done.stderr == ""
        assert done.returncode == 141 or args[-1] == "--help"  # argparse says nothing of its own


def test_another_broken_pipe_is_an_error():
    def program(args):
        raise BrokenPipeError("a worker's")

    with pytest.raises(BrokenPipeError):
        cli.run(program, lambda: cli.Parser(prog="x"), [])


def test_a_sub_command_prints_the_same_help_however_it_is_called():
    by_name = script("zoo", "--help")
    by_module = subprocess.run(
        [sys.executable, "-m", "experiments.zoo", "--help"], capture_output=True, text=True, timeout=60
    )
    assert by_name.returncode == by_module.returncode == 0
    assert by_name.stdout.startswith("usage: fewshot zoo [")
    assert by_module.stdout.startswith("usage: python -m experiments.zoo [")
    assert by_name.stdout == by_module.stdout.replace("python -m experiments.zoo", "fewshot zoo")


def test_no_help_imports_what_takes_long():
    """In one process: what no help imports, none of them does."""
    code = (
        "import contextlib, io, json, sys\n"
        "from experiments.__main__ import FRONT\n"
        "assert not {command.module for command in FRONT.commands.values()} & sys.modules.keys()\n"
        "heavy = {}\n"
        "for name in ('', *FRONT.commands):\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "        FRONT.main([*name.split(), '--help'])\n"
        f"    heavy[name] = [m for m in {HEAVY} if m in sys.modules]\n"
        "print(json.dumps(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not [name for name, modules in json.loads(done.stdout).items() if modules], done.stdout


def test_the_same_option_is_the_same_in_every_command():
    """Its type and its meaning; defaults in the help may differ."""
    definitions: dict[str, set] = {}
    for name in COMMANDS:
        actions = {
            action.option_strings[-1]: action for action in parser(name)._actions if action.option_strings
        }
        for option in SHARED & actions.keys():
            action = actions[option]
            kind = (type(action), getattr(action.type, "__name__", None), action.nargs, action.choices)
            definitions.setdefault(option, set()).add(kind)
        for option, lacking in WITHOUT.items():
            assert (option in actions) == (name not in lacking), (name, option)
    assert definitions.keys() == SHARED
    assert all(len(kinds) == 1 for kinds in definitions.values()), definitions


@pytest.fixture
def ours_in_name_alone(tmp_path):
    """A directory of folders that are named like our packages."""
    for package in ("experiments", "gan", "fewshot"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('not ours')")
        (tmp_path / package / "augment.py").write_text("raise RuntimeError('not ours')")
    return tmp_path


@pytest.mark.processes
def test_any_directory_will_do_for_workers_too(ours_in_name_alone):
    args = ("--data", "digits", "--seeds", 1, "--method", "ridge", "--updates", 1, "--jobs", 2)
    done = script("cnn", *args, cwd=ours_in_name_alone)
    assert done.returncode == 0, done.stderr
    assert len((ours_in_name_alone / "results" / "trials.jsonl").read_text().splitlines()) == 2


def test_any_directory_will_do(ours_in_name_alone):
    """Folders there do not stand in for ours."""
    helped = script("gan", "train", "--help", cwd=ours_in_name_alone)
    assert helped.returncode == 0, helped.stderr
    assert helped.stdout.startswith("usage: fewshot gan train ")


COMPLETE = """
import contextlib, json, os, sys
import argcomplete
from experiments.__main__ import main

def end(code):
    raise SystemExit(code)

argcomplete.autocomplete = lambda parser: argcomplete.CompletionFinder()(parser, exit_method=end)
out, *lines = sys.argv[1:]
for line in lines:
    os.environ |= {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    os.environ |= {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": out}
    with contextlib.suppress(SystemExit):
        main([])
    print(json.dumps(open(out).read().split(chr(11))))
print(json.dumps([name for name in ("tensorflow", "keras", "sklearn.ensemble") if name in sys.modules]))
"""


def test_the_shell_is_told_what_may_follow(tmp_path):
    pytest.importorskip("argcomplete")
    offers = {
        "fewshot au": "augment",
        "fewshot gan t": "train",
        "fewshot augment --cache": "--cache-dir",
        "fewshot augment --method patchshuffle-pi": "patchshuffle-pixels",
        "fewshot augment --protocol pai": "pairs45",
        "fewshot gan train --fi": "--fid",
        "fewshot compare --data dig": "digits",
        "fewshot search --ro": "--round",
    }
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE, tmp_path / "offers", *offers],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    *answers, imported = map(json.loads, done.stdout.splitlines())
    assert [[word.strip() for word in words] for words in answers] == [[word] for word in offers.values()]
    assert not imported
