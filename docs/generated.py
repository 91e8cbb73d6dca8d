"""Parts of the site that are made from the code: a MkDocs hook.

A page names them in a comment, `<!-- commands -->`, in whose place they come. So the reference cannot say
anything else than the parsers and the registries do.
"""

import contextlib
import importlib
import io
import os
from pathlib import Path

from experiments.__main__ import FRONT

ROOT = Path(__file__).parents[1]


def on_page_markdown(markdown: str, **context: object) -> str:
    """Put the parts into a page (called by MkDocs)."""
    for name, make in PARTS.items():
        mark = f"<!-- {name} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    return markdown


def commands() -> str:
    """Return the help of every command, under the headings of `fewshot --help`."""
    parts = []
    for heading, group in FRONT.groups.items():
        parts.append(f"## {heading[0].upper()}{heading[1:]}")
        for command in group:
            parts += [f"### fewshot {command.name}", f"```text\n{help_of(command.module)}\n```"]
    return "\n\n".join(parts)


def help_of(module: str) -> str:
    """Return what a command prints for `--help`."""
    os.environ["COLUMNS"] = "100"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        importlib.import_module(module).main(["--help"])
    return printed.getvalue().rstrip()


def methods() -> str:
    """Return the catalogue as a table."""
    from fewshot.methods.catalogue import methods as catalogue

    rows = [f"| `{name}` | {_cell(method.summary)} |" for name, method in catalogue.items()]
    return "\n".join(["| name | what it is |", "| :-- | :-- |", *rows])


def registries() -> str:
    """Return the definitions of every registry, with the first line of what they say of themselves."""
    from fewshot.api import register

    doors = [getattr(register, name) for name in vars(register) if name.startswith("register_")]
    parts = []
    for registry in [door.__self__ for door in doors]:
        rows = [f"| `{name}` | {_cell(registry[name].summary)} |" for name in registry]
        heading = f"## {registry.kind[0].upper()}{registry.kind[1:]}"
        parts.append("\n".join([heading, "", "| name | what it is |", "| :-- | :-- |", *rows]))
    return "\n\n".join(parts)


def contributing() -> str:
    """Return CONTRIBUTING.md without its title, its links as from the page that shows it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n")[2]
    return text.replace("](docs/", "](../")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PARTS = {"commands": commands, "methods": methods, "registries": registries, "contributing": contributing}
