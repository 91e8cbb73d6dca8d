"""Every option of every command, from the parsers themselves, with nonsense: an exit code and a few lines."""

import importlib
import os
import re
import urllib.request
import zlib

import pytest

from experiments import explore
from experiments.__main__ import FRONT
from fewshot import backend, cli
from fewshot.errors import FewshotError
from fewshot.trials.plan import Machine
from fewshot.trials.store import Store

NONSENSE = (
    "",
    "x",
    "-1",
    "0",
    "1",
    "nan",
    "1e309",
    "4294967295",
    "100000",
    "9" * 30,
    "ä😀\u202e",
    "x" * 10_000,
    "a:b=c,,",
    "../..",
    "\udc80",
    "nul\0",
    "flip+",
    "albumentations:no.yaml",
    "imagenet/",
    "https://example.org/x",
)
AT_A_TIME = 2  # values that an option gets in the fast test: those that its name decides
MOST_LETTERS = 4000
MOST_LINES = 12  # of standard error: a header, notes, and the error
HANDED_ON = {"benchmark", "search"}  # commands that hand what they do not know on to others
COMMANDS = [name for name in FRONT.commands if name not in HANDED_ON]


class Caught(Exception):
    pass


def parser_of(module: str, monkeypatch) -> cli.Parser:
    """Return the parser of a command, caught as it begins to parse."""
    caught = []

    def stop(self, *args, **kwargs):
        caught.append(self)
        raise Caught

    main = importlib.import_module(module).main
    with monkeypatch.context() as patched:
        patched.setattr(cli.Parser, "parse_args", stop)
        with pytest.raises(Caught):
            main([])
    return caught[-1]


def calls(parser: cli.Parser, at_a_time: int):
    """Yield command lines: each option with values of its own, and what must be there filled in."""
    required = ["x" for action in parser._actions if not action.option_strings and action.nargs != "*"]
    data = ["--data", "digits"] if "--data" in parser._option_string_actions else []
    for action in parser._actions:
        if action.nargs == 0 or action.dest in ("help", "plugin", "debug"):
            continue
        first = zlib.crc32(f"{parser.prog} {action.dest}".encode())
        for number in range(first, first + at_a_time):
            value = NONSENSE[number % len(NONSENSE)]
            if action.option_strings:
                option = action.option_strings[-1]
                yield [*required, *([] if option == "--data" else data), f"{option}={value}"]
            else:
                yield [*data, "--", value, *required[1:]]


@pytest.fixture
def nothing_computes(monkeypatch, tmp_path):
    """Stop where a command would begin to compute, to fetch or to write records."""

    def stop(*args, **kwargs):
        raise FewshotError("stopped by the test")

    folder = tmp_path / "a" / "b"  # what is above of it, "../..", holds nothing else
    folder.mkdir(parents=True)
    (folder / "x").write_text("neither a model nor a photo", encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FEWSHOT_CACHE", os.environ["FEWSHOT_CACHE"])  # restored after --cache-dir
    monkeypatch.setattr(backend, "start", stop)
    monkeypatch.setattr(Store, "open", stop)
    monkeypatch.setattr(Machine, "open", stop)
    monkeypatch.setattr(urllib.request, "urlopen", stop)
    for name in explore.THINGS:
        monkeypatch.setitem(explore.THINGS, name, stop)
    monkeypatch.delenv("FEWSHOT_DEBUG", raising=False)


def check(name: str, argv: list[str], capsys) -> None:
    """Run a command in this process; it ends with 0, 1 or 2, and says why in a few lines."""
    shown = (name, [word if len(word) < 60 else word[:60] + "…" for word in argv])
    try:
        code = importlib.import_module(FRONT.commands[name].module).main(argv)
    except SystemExit as ended:
        code = ended.code
    except BaseException as error:
        raise AssertionError(f"{shown}: {type(error).__name__}: {str(error)[:200]}") from error
    errors = capsys.readouterr().err
    assert code in (0, 1, 2), shown
    assert "Traceback" not in errors, shown
    assert len(errors) < MOST_LETTERS, (shown, len(errors), errors[-300:])
    assert code == 0 or 1 <= len(errors.splitlines()) < MOST_LINES, (shown, errors[:300])


@pytest.mark.parametrize("name", COMMANDS)
def test_nonsense_in_any_option_is_a_few_lines(name, nothing_computes, monkeypatch, capsys):
    for argv in calls(parser_of(FRONT.commands[name].module, monkeypatch), AT_A_TIME):
        check(name, argv, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_all_nonsense_in_all_options(name, nothing_computes, monkeypatch, capsys):
    wrong = []
    for argv in calls(parser_of(FRONT.commands[name].module, monkeypatch), len(NONSENSE)):
        try:
            check(name, argv, capsys)
        except AssertionError as error:
            wrong.append(str(error))
    assert not wrong


def test_what_a_message_quotes_is_short_and_can_be_written_anywhere(capsys):
    with pytest.raises(SystemExit):
        cli.Parser(prog="it").error(f"no such thing: {'x' * 10_000}\udc80\0")
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"it: error: no such thing: x{150}…x+\\udc80\\x00 \(--help tells more\)", line)
