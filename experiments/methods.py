"""All methods: what each is, what it costs and what was published of it.

python -m experiments.methods
python -m experiments.methods --tag compare
python -m experiments.methods bn lite online:strong --json
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from dataclasses import asdict, dataclass

from fewshot import cli
from fewshot.methods.catalogue import Method, methods
from fewshot.methods.specification import named


@dataclass(frozen=True)
class Row:
    """A method with its canonical specification. cost_seconds: of a trial on one core."""

    name: str
    specification: str
    summary: str
    tags: tuple[str, ...]
    cost_seconds: float | None
    published: dict[str, str]
    aliases: tuple[str, ...]


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv)


def row(text: str) -> Row:
    """Return what there is to say of a method: of a name, or of any specification.

    Raises `UsageError` for a text that is no method, with the nearest name.
    """
    name, specification = named(text)
    head = name.partition(":")[0]
    method = methods[name] if name in methods else Method(name, text, "")
    summary = method.summary or (f"{head}, with other settings" if head in methods else "")
    return Row(
        name,
        str(specification),
        summary,
        method.tags,
        method.cost_seconds,
        dict(method.published),
        method.aliases,
    )


def table(rows: list[Row]) -> str:
    """Return the rows as text, two lines each: name, cost and summary; the specification and the rest."""
    width = max((len(row.name) for row in rows if len(row.name) <= 28), default=28)
    return "\n".join(line for row in rows for line in _lines(row, width))


def _lines(row: Row, width: int) -> list[str]:
    cost = f"{row.cost_seconds:g} s" if row.cost_seconds is not None else ""
    said = [f"published: {row.published[protocol]} ({protocol})" for protocol in row.published]
    aliases = [f"formerly {', '.join(row.aliases)}"] if row.aliases else []
    details = "; ".join([*([row.specification] if row.specification != row.name else []), *said, *aliases])
    return [f"{row.name:{width}} {cost:>6}  {row.summary}".rstrip(), *([f"    {details}"] if details else [])]


def _parser() -> cli.Parser:
    tags = sorted({tag for method in methods.values() for tag in method.tags})
    parser = cli.Parser(
        prog=cli.prog("experiments.methods"),
        usage="%(prog)s [NAME …] [--tag TAG] [--json]",
        description="All methods by name, with what they stand for; any specification is explained, too. "
        "Seconds are those of a trial with 2 × 50 images on one core, roughly, where they are known.",
        epilog=f"tags:\n{textwrap.fill(', '.join(tags), 100, initial_indent='  ', subsequent_indent='  ')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="methods to tell of (default: all)")
    parser.add_argument("--tag", metavar="TAG", help="only the methods with this tag, those of a study say")
    cli.add_json(parser)
    cli.add_common(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    names = args.names or list(methods)
    if args.tag:
        tagged = [method.name for method in methods.tagged(args.tag)]
        names = [name for name in tagged if not args.names or name in map(_name, args.names)]
    rows = [row(name) for name in names]
    if args.json:
        print(cli.as_json({"methods": [asdict(row) for row in rows]}))
    elif rows:
        print(table(rows))


def _name(text: str) -> str:
    return named(text)[0]


if __name__ == "__main__":
    sys.exit(main())
