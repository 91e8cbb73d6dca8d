"""Pieces that every section of a page is made of: tables, figures, commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fewshot.report.page.markup import Markup, breakable, tag


def table(
    columns: Sequence[Sequence[str]],
    best: str | None,
    label: str,
    baseline: str = "",
    notes: Mapping[str, str] | None = None,
) -> Markup:
    """Return a table of methods that sorts: columns, each its heading and its cells, the names first.

    best: the method whose row is set apart. baseline: the one that is named as such. label: what a screen
    reader says. notes: method → what it is, in a few words below its name.
    """
    header, *rows = zip(*columns, strict=True)
    heads = [tag("th", tag("span", text), scope="col") for text in header]
    lines = []
    for method, *numbers in rows:
        mark = tag("small", " baseline") if method == baseline else None
        what = (notes or {}).get(method)
        name = (breakable(method), mark, tag("small", what, class_="what") if what else None)
        cells = [tag("th", *name, scope="row"), *(tag("td", cell) for cell in numbers)]
        lines.append(tag("tr", *cells, class_="best" if method == best else None))
    return scrolling(
        tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *lines), class_="results"), label
    )


def scrolling(content: Markup, label: str) -> Markup:
    """Return wide content in a region that scrolls, with the keyboard, too."""
    return tag("div", content, class_="scroll", role="region", aria_label=label, tabindex="0")


def figure(content: Markup, caption: str) -> Markup:
    """Return a picture or a matrix with its caption."""
    return tag("figure", scrolling(content, caption), tag("figcaption", caption))


def command(text: str) -> Markup:
    """Return a command line, to be copied."""
    return scrolling(tag("pre", tag("code", text)), "Command")
