"""What all pictures share: colours, style, and how they are written.

Drawn with matplotlib's objects, never with pyplot, which would look for a display. The same results give
the same bytes, in PNG and in SVG.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from fewshot.io.files import replacing
from fewshot.io.fonts import families_for, legible
from fewshot.stats.comparison import MethodResult

# Okabe and Ito's colours, distinguishable with every common kind of colour blindness; without their yellow,
# too light for lines. After one round of colours the markers change.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("", "o", "s", "^")
INK, GREY = "#222222", "#888888"
CHARACTER = 0.082  # inches, the mean width of a letter in the sizes used here
STYLE = {
    "svg.hashsalt": "fewshot",  # the ids in an SVG file are random otherwise
    "text.parse_math": False,  # a method's name may hold a dollar sign
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "font.size": 10,
}


def write(figure, path_stem) -> list[Path]:
    """Save as PNG and SVG without dates; a file appears whole or not at all."""
    make_legible(figure)
    paths = [Path(f"{path_stem}.{kind}") for kind in ("png", "svg")]
    for path in paths:
        metadata = {"Date": None} if path.suffix == ".svg" else None
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=metadata)
    return paths


def make_legible(figure) -> None:
    """Draw letters that the usual font lacks in an installed font that has them, else in words."""
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            if (written := list(map(legible, labels))) != labels:
                axis.set_major_formatter(FixedFormatter(written))  # labels are written anew as they are drawn
            _with_fonts(axis.get_ticklabels())
    _with_fonts(figure.findobj(Text))


def _with_fonts(texts) -> None:
    for text in texts:
        content = text.get_text()
        if content.isascii():
            continue
        text.set_text(legible(content))
        if families := families_for(text.get_text()):
            text.set_fontfamily([*text.get_fontfamily(), *families])


def tasks(results: Sequence[MethodResult]) -> str:
    """Return "n = 10 tasks", or the range where trials failed or are missing."""
    least, most = min(result.n for result in results), max(result.n for result in results)
    count = f"{most}" if least == most else f"{least} to {most}"
    return f"n = {count} {'task' if most == 1 else 'tasks'}"


def wrapped(text: str, inches: float) -> str:
    """Return text broken into lines of so many inches."""
    return textwrap.fill(text, int(inches / CHARACTER))


def empty_figure(title: str, text: str):
    """Return a figure that says why there is nothing to show."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 1.6))
    figure.suptitle(wrapped(title, 9), fontsize=11)
    figure.text(0.5, 0.35, text, ha="center", color=GREY)
    return figure
