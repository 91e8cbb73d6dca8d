"""Tables and pictures of the documentation, drawn from kept results.

    make results                             # draws every table and picture anew
    make result FROM=results NAME=augment    # keeps a study's numbers as docs/results/augment.json

A page says where a table belongs, by the name of its file in `docs/results/`:

    <!-- result augment -->
    <!-- end -->

What stands between the marks is written by this script; `<!-- result augment without s/trial -->` leaves a
column out. `<!-- summary -->` is the README's table, whose rows `docs/results/summary.json` names. Where a
page shows `images/augment.png`, that picture is drawn from the same file. `tests/docs/test_kept_results.py`
fails where page, picture and file differ.
"""

import json
import re
import sys
from pathlib import Path

from fewshot.report.kept_result import KeptResult, read
from fewshot.report.table import barred

DOCS = Path(__file__).parent
ROOT = DOCS.parent
KEPT, IMAGES = DOCS / "results", DOCS / "images"
SUMMARY = KEPT / "summary.json"
BLOCK = re.compile(
    r"<!-- (?P<what>result [\w-]+(?: without [^>]+)?|summary) -->\n(?P<body>.*?)<!-- end -->", re.S
)
SOURCE = "Source"  # what a picture says of the numbers that it shows


def main(argv: list[str]) -> int:
    """Draw all tables and pictures; say where a kept result that was named is on no page."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (drawn := rendered(text, page)) != text:
            page.write_text(drawn, encoding="utf-8")
            print(page.relative_to(ROOT))
    for name in pictured():
        if source(name) != picture_source(name):
            draw(name)
            print((IMAGES / f"{name}.png").relative_to(ROOT))
    shown = {name for page in pages() for name in shown_on(page.read_text(encoding="utf-8"))}
    for name in argv:
        if name not in shown:
            print(f"no page shows {name} yet: write where it belongs, and `make results` again")
            print(f"<!-- result {name} -->\n<!-- end -->")
    return 0


def pages() -> list[Path]:
    """Return the files that may show results."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def names() -> list[str]:
    """Return the names of all kept results."""
    return [path.stem for path in sorted(KEPT.glob("*.json")) if path != SUMMARY]


def kept(name: str) -> KeptResult:
    """Return a kept result by its name."""
    return read(KEPT / f"{name}.json")


def shown_on(text: str) -> list[str]:
    """Return the names of the results that a page shows as tables."""
    marks = [match["what"].split() for match in BLOCK.finditer(text)]
    return [mark[1] for mark in marks if mark[0] == "result"]


def rendered(text: str, page: Path) -> str:
    """Return a page's text with the tables between its marks drawn anew."""

    def block(match: re.Match) -> str:
        what, without, left_out = match["what"].partition(" without ")
        columns = left_out.split(", ") if without else []
        body = summary() if what == "summary" else table(what.split()[1], columns, page)
        return f"<!-- {match['what']} -->\n{body}\n<!-- end -->"

    return BLOCK.sub(block, text)


def table(name: str, left_out: list[str], page: Path) -> str:
    """Return a kept result as a Markdown table, and below it where its numbers come from."""
    result = kept(name)
    columns = [column for column in result.columns() if column[0] not in left_out]
    at = "" if page.parent == KEPT else "../results/"
    return f"{barred(columns)}\n\n[{name}.json]({at}{name}.json){told(result)}"


def told(result: KeptResult) -> str:
    """Return in a line where a result comes from: its command, and what is known of its origin."""
    origin = result.origin
    version = f"fewshot {origin['fewshot']}" if origin.get("fewshot") else ""
    commit = f"commit {origin['commit']}" if origin.get("commit") else ""
    made = ", ".join(filter(None, (origin.get("date"), version, commit, origin.get("processor"))))
    parts = [f"`{result.command}`", made, origin.get("note", "")]
    return "".join(f" · {part}" for part in parts if part)


def summary() -> str:
    """Return the README's table: rows of several kept results, each beside its own baseline."""
    rows = [["strategy", "accuracy", "Δ to its baseline, 95 % interval", "seconds a task", "command"]]
    for row in json.loads(SUMMARY.read_text(encoding="utf-8")):
        cells = row_of(kept(row["result"]), row["method"])
        delta = next(cell for heading, cell in cells.items() if heading.startswith("Δ to"))
        seconds = row.get("seconds") or cells.get("s/trial", "–")
        rows.append([row["strategy"], cells["mean ± std"], delta, seconds, f"`{row['command']}`"])
    lines = barred([list(column) for column in zip(*rows, strict=True)]).split("\n")
    lines[1] = lines[1].removesuffix("--: |") + ":-- |"  # commands begin at the left
    return "\n".join(lines)


def row_of(result: KeptResult, method: str) -> dict[str, str]:
    """Return a method's cells by their headings."""
    columns = result.columns()
    place = columns[0].index(method)
    return {column[0]: column[place] for column in columns}


def pictured() -> list[str]:
    """Return the names of the kept results that have trials and whose picture a page shows."""
    links = {
        link for page in pages() for link in re.findall(r"images/([\w-]+)\.png", page.read_text("utf-8"))
    }
    return [name for name in names() if name in links and kept(name).trials]


def source(name: str) -> str:
    """Return what the picture of a kept result has to say of its numbers."""
    return f"docs/results/{name}.json {kept(name).digest}"


def picture_source(name: str) -> str | None:
    """Return what a picture says of its numbers; None where there is none, or it says nothing."""
    from PIL import Image

    path = IMAGES / f"{name}.png"
    if not path.exists():
        return None
    with Image.open(path) as image:
        return image.info.get(SOURCE)


def draw(name: str) -> None:
    """Draw the accuracies of a kept result's trials."""
    from matplotlib import rc_context

    from fewshot.report.plots import Compared, make_plot
    from fewshot.report.plots.figures import STYLE

    result = kept(name)
    with rc_context(STYLE):
        figure = make_plot("accuracy", Compared(result.results, result.baseline, result.about))
        figure.savefig(IMAGES / f"{name}.png", dpi=100, metadata={SOURCE: source(name), "Software": None})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
