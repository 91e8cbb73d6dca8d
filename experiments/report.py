"""All results of a folder on one page, to read and to pass on.

python -m experiments.report results
python -m experiments.report results --out page.html
"""

import argparse
import sys
from pathlib import Path

from fewshot import cli
from fewshot.errors import FewshotError, UsageError


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
    cli.add_common(parser, cache=False)
    return parser


def _run(args: argparse.Namespace) -> None:
    folder = Path(args.folder)
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


if __name__ == "__main__":
    sys.exit(main())
