"""All results of a folder on one page, to read and to pass on.

python -m experiments.report results
python -m experiments.report results --out page.html
python -m experiments.report results --keep kept/augment.json --study augment
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fewshot import cli
from fewshot.errors import FewshotError, UsageError, unknown


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, parser, argv)


def parser() -> cli.Parser:
    """Return the parser."""
    parser = cli.Parser(
        prog=cli.prog("experiments.report"),
        description="All results of a folder on one HTML page that needs no network and no other file, "
        "and as Markdown beside it: a summary, sortable tables, pictures, what was taken for what, "
        "calibration, protocol and machine, and the commands.",
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=cli.path,
        default="results",
        metavar="RESULTS",
        help="the --out of studies (default: results)",
    )
    cli.add_out(parser, "the page (default: report.html in that folder)", None, "FILE.html")
    keeping = parser.add_argument_group("keep one study's numbers instead, as a file to publish")
    keeping.add_argument(
        "--keep",
        type=cli.path,
        metavar="FILE.json",
        help="write the trials' numbers, the command, the machine, versions, commit and date of a study here",
    )
    keeping.add_argument("--study", metavar="NAME", help="which, where the folder holds several")
    keeping.add_argument(
        "--note", default="", metavar="TEXT", help="what else a reader has to know, such as: a busy machine"
    )
    cli.add_common(parser, cache=False)
    return parser


def _run(args: argparse.Namespace) -> None:
    folder = Path(args.folder)
    if args.keep:
        _keep(folder, Path(args.keep), args.study, args.note)
        return
    if args.study or args.note:
        raise UsageError("--study and --note are of --keep FILE.json")
    path = Path(args.out) if args.out else folder / "report.html"
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out wants the name of a page, such as report.html. Received: '{path}'")
    from fewshot.report.groups import gather
    from fewshot.report.markdown import document
    from fewshot.report.page.html import page

    results = gather(folder)
    texts = {path: page(results, args.command), path.with_suffix(".md"): document(results, args.command)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FewshotError(f"cannot write {path} ({error.strerror}): give another --out") from error
    for text in results.notes:
        print(text, file=sys.stderr)
    print(*texts, sep="\n")


def _keep(folder: Path, path: Path, name: str | None, note: str) -> None:
    """Write the numbers of one study of a results folder to a file."""
    if path.suffix != ".json":
        raise UsageError(f"--keep wants the name of a file such as augment.json. Received: '{path}'")
    from fewshot.report import kept_result
    from fewshot.report.groups import gather

    results = gather(folder)
    studies = {group.name: kept_result.of_group(group, note) for group in results.groups if group.name}
    studies |= {table.study: kept_result.of_table(table, note) for table in results.tables}
    if not studies:
        raise UsageError(f"{folder} holds no study: its records are named by no result.json")
    if name is None:
        if len(studies) > 1:
            raise UsageError(f"{folder} holds several studies, name one with --study: {', '.join(studies)}")
        (name,) = studies
    if name not in studies:
        raise unknown("study", name, studies)
    studies[name].write(path)
    print(path)


if __name__ == "__main__":
    sys.exit(main())
