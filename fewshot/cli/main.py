"""A command of sub-commands: help on one screen; a sub-command is imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from fewshot import __version__
from fewshot.cli import parser as commands
from fewshot.errors import FewshotError, UsageError, unknown
from fewshot.wording import shortened

WIDTH = 100  # columns


@dataclass(frozen=True)
class Command:
    """A sub-command: the module that `python -m` runs, too, and what it does, in a few words.

    The module, or the package, has a function `main(argv) -> exit code`.
    """

    module: str
    summary: str

    @property
    def name(self) -> str:
        """What is typed: one word or two."""
        return commands.command_name(self.module)


@dataclass(frozen=True)
class Front:
    """The command above all others.

    Parameters
    ----------
    begin : the first lines of the help: what this is, and where to begin.
    groups : a heading → its sub-commands.
    """

    begin: str
    groups: Mapping[str, Sequence[Command]]

    @property
    def commands(self) -> dict[str, Command]:
        """Every sub-command by its name."""
        return {command.name: command for group in self.groups.values() for command in group}

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run a sub-command and return its exit code; tell what there is where none is named."""
        with commands.readable():
            return self._main(list(sys.argv[1:] if argv is None else argv))

    def _main(self, argv: list[str]) -> int:
        if commands.COMPLETING in os.environ:
            argv = self._complete()
        if not argv or argv[0] in ("-h", "--help", "help"):
            print(self.help())
            return 0
        if argv[0] == "--version":
            print(f"fewshot {__version__}")
            return 0
        try:
            command, rest = self._find(argv)
        except FewshotError as error:
            print(f"{self.prog}: error: {shortened(str(error))} (--help tells more)", file=sys.stderr)
            return error.exit_code
        return importlib.import_module(command.module).main(rest)

    @property
    def prog(self) -> str:
        """How this command is called."""
        return commands.root()

    def _find(self, argv: list[str]) -> tuple[Command, list[str]]:
        """Return the sub-command that the first words name, and the rest; `UsageError` for none."""
        for count in (2, 1):
            if command := self.commands.get(" ".join(argv[:count])):
                return command, argv[count:]
        if argv[0].startswith("-"):
            raise UsageError(f"name a command before {argv[0]}, such as compare")
        second = [name for name in self.commands if name.startswith(f"{argv[0]} ")]
        if second:
            raise UsageError(f"{argv[0]} wants one of: {', '.join(second)}")
        raise unknown("command", argv[0], self.commands)

    def _complete(self) -> list[str]:
        """Return the words before the cursor where they name a sub-command: it completes the rest.

        Otherwise answer the shell with the names that may follow.
        """
        import argcomplete

        line, point = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
        start = int(os.environ[commands.COMPLETING])  # words up to this one are what calls us
        words = argcomplete.split_line(line, point)[3][start:]
        for count in (2, 1):
            if " ".join(words[:count]) in self.commands and len(words) >= count:
                os.environ[commands.COMPLETING] = str(start + count)
                return words[:count]
        parser = commands.Parser(prog=self.prog)
        parser.add_argument("--version", action="store_true")
        for word in [*words, ""]:
            action = parser.add_argument(f"after {word}")
            commands.offer(action, lambda **asked: self._following(words))
        commands.complete(parser)
        return []

    def _following(self, words: list[str]) -> list[str]:
        """Return what may follow these words in the name of a sub-command."""
        names = [name.split() for name in self.commands]
        return [name[len(words)] for name in names if name[: len(words)] == words and len(name) > len(words)]

    def help(self) -> str:
        """Return the help, which fits a screen: two sub-commands a line."""
        column = max(map(len, self.commands))
        lines = [f"usage: {self.prog} COMMAND [options]", "", self.begin.format(prog=self.prog), ""]
        for heading, group in self.groups.items():
            cells = [f"  {command.name:{column}} {command.summary}" for command in group]
            pairs = zip_longest(cells[::2], cells[1::2], fillvalue="")
            lines += [f"{heading}:", *(f"{left:{WIDTH // 2}}{right}".rstrip() for left, right in pairs)]
        more = f"{self.prog} COMMAND --help tells more; {self.prog} --version"
        completion = (
            'completion in the shell (pip install argcomplete): eval "$(register-python-argcomplete fewshot)"'
        )
        return "\n".join([*lines, "", more, completion])
