"""The parser of a command and how a command runs: errors of one line, exit codes, shell completion."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import json
import os
import select
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from fewshot import compilations
from fewshot.errors import DEBUG, FewshotError, debugging
from fewshot.wording import one_line, shortened

RESUMES = "interrupted; finished trials are recorded, the same command resumes (without --fresh)"
COMPLETING = "_ARGCOMPLETE"  # set by the shell that asks for completions
INTERRUPTED, TERMINATED = 130, 143  # 128 and the number of the signal
UNREAD = 141  # what a shell says of a program that `| head` ends: 128 and the number of SIGPIPE


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one line; options are written out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, **kwargs)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """Parse; an option that there is not ends in one line with the nearest that there is."""
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}{self._nearest(rest)}")
        return parsed

    def _nearest(self, rest: Sequence[str]) -> str:
        """Return the option that one of these was perhaps meant to be, as a question; nothing for none."""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        for word in rest:
            nearest = difflib.get_close_matches(word.partition("=")[0], known, n=1)
            if word.startswith("-") and nearest:
                return f": did you mean {nearest[0]}?"
            if "--data" in known and os.path.exists(word):
                return f": did you mean --data {word}?"
        return ""

    def error(self, message: str) -> NoReturn:
        """Exit with 2 and one line."""
        self.exit(2, f"{self.prog}: error: {shortened(message)} (--help tells more)\n")


def prog(module: str) -> str:
    """Return how a command is called: as this process was, or as a sub-command of `fewshot`.

    Parameters
    ----------
    module : the command's module: `experiments.augment` is `python -m experiments.augment` where Python was
        told to run that, else `fewshot augment`.
    """
    return f"python -m {module}" if _started() == module else f"{root()} {command_name(module)}"


def root() -> str:
    """Return how the command above all others is called: `fewshot`, or `python -m experiments`."""
    return "python -m experiments" if _started() == "experiments" else "fewshot"


def _started() -> str | None:
    """Return the module or package that Python was told to run (`python -m`)."""
    specification = getattr(sys.modules["__main__"], "__spec__", None)
    return specification.name.removesuffix(".__main__") if specification else None


def command_name(module: str) -> str:
    """Return the sub-command of a module: `gan.train` is `gan train`, `experiments.zoo` is `zoo`.

    A module whose name would be a word of Python's ends in an underscore: `experiments.try_` is `try`.
    """
    return module.removeprefix("experiments.").rstrip("_").replace("_", "-").replace(".", " ")


def run(
    program: Callable[[argparse.Namespace], None],
    make_parser: Callable[[], Parser],
    argv: list[str] | None = None,
    interrupted: str = RESUMES,
) -> int:
    """Load plugins, parse, run and return the exit code.

    0, 1 (failure), 2 (wrong usage), 130 (Ctrl-C) or 143 (SIGTERM).

    Parameters
    ----------
    program : what to do with the parsed arguments. They name the command line itself, to be copied and
        pasted: `args.command`.
    make_parser : called when the plugins are there, so that the help tells of them, too.
    interrupted : what is said after Ctrl-C.
    """
    with readable(), terminable():
        return _run(program, make_parser, sys.argv[1:] if argv is None else argv, interrupted)


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Print in the block as long as somebody reads: with `| head` the process ends at once, and silently."""
    try:
        _show_anything()
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if _is_read():
            raise  # of another pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is printed at the exit
        raise SystemExit(UNREAD) from None


def _show_anything() -> None:
    """Let standard output and errors replace what their encoding lacks, such as Δ on a Windows console."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def as_json(document: Any, indent: int | None = 1) -> str:
    """Return a JSON document as standard output can show it: escaped where its encoding is not a Unicode."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    return json.dumps(document, indent=indent, ensure_ascii=not encoding.startswith("utf"))


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that workers end, too, and nothing is left behind."""

    def end(number: int, frame: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what follows cleans up
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Terminated(KeyboardInterrupt):
    """The process was told to end (SIGTERM)."""


def _is_read() -> bool:
    """Return whether there is still a reader of standard output; there is where it is no file."""
    try:
        output = sys.stdout.fileno()
    except OSError:
        return True
    poll = select.poll()
    poll.register(output, 0)
    return not any(event & select.POLLERR for _, event in poll.poll(0))


def _run(
    program: Callable[[argparse.Namespace], None],
    make_parser: Callable[[], Parser],
    argv: list[str],
    interrupted: str,
) -> int:
    parser = Parser(add_help=False)
    parser.add_argument("--plugin", nargs="+", action="extend", default=[])
    parser.add_argument("--debug", action="store_true")
    if parser.parse_known_args(argv)[0].debug:
        os.environ[DEBUG] = "yes"  # workers have it, too
    try:
        parser.prog = make_parser().prog
        for file in parser.parse_known_args(argv)[0].plugin:
            from fewshot.methods import plugins

            plugins.load(file)
        parser = make_parser()
        complete(parser)
        args = parser.parse_args(argv)
        args.command = f"{parser.prog} {shlex.join(argv)}".rstrip()
        if getattr(args, "cache_dir", None):
            os.environ["FEWSHOT_CACHE"] = args.cache_dir  # workers have it, too
        if getattr(args, "no_compile_cache", False):
            os.environ[compilations.SWITCH] = "false"  # workers have it, too
        if "matplotlib" not in sys.modules:
            os.environ["MPLBACKEND"] = "agg"  # pictures are files, whatever a notebook or a desktop has set
        program(args)
    except FewshotError as error:
        if debugging():
            traceback.print_exc()
        print(f"{parser.prog}: error: {shortened(error.render(flag))}", file=sys.stderr)
        return error.exit_code
    except MemoryError as error:
        if debugging():
            traceback.print_exc()
        print(f"{parser.prog}: error: the memory is full ({one_line(error)}): ask for less", file=sys.stderr)
        return FewshotError.exit_code
    except KeyboardInterrupt as error:
        print(f"\n{parser.prog}: {interrupted}", file=sys.stderr)
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell where it asks what may follow, and exit; needs argcomplete."""
    if COMPLETING in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def offer(action: argparse.Action, completer: Callable[..., Iterable[str]]) -> None:
    """Name what the shell offers as values of an option; argcomplete calls `completer` by keyword."""
    action.completer = completer  # type: ignore[attr-defined]


def flag(name: str, value: object = None) -> str:
    """Show a field of a message as an option: `--shots 5`, `--image-size`, `--fresh`."""
    option = "--" + name.replace("_", "-")
    return option if value is None or value is True else f"{option} {shlex.quote(str(value))}"
