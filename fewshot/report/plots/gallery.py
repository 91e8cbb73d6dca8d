"""A gallery: images beside and below each other, each with a few lines of its own."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from fewshot.io.fonts import legible
from fewshot.report.plots.figures import CHARACTER, COLOURS, INK, STYLE, write
from fewshot.wording import readable

COLUMNS, TILE, GAP = 5, 1.5, 0.16  # images a row; inches of an image, and between two
LINE, LETTERS = 0.15, 22  # inches a line, letters in it
SHOWN = 20  # images of a gallery

Picture: TypeAlias = "tuple[np.ndarray, Sequence[str]]"
"""An image, uint8 (height, width, 3), and the lines below it."""


def gallery(
    pictures: Sequence[Picture], path_stem: str | Path, title: str, at_most: int = SHOWN
) -> list[Path]:
    """Draw the first `at_most` of the pictures; write PATH_STEM.png and .svg and return both paths.

    Where there are more, the title says so. The first line is a file's name. A line
    that is too long loses its middle.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = pictures[:at_most]
    if len(shown) < len(pictures):
        title += f" ({len(shown)} of {len(pictures)})"
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    lines = max(len(text) for _, text in shown)
    height = TILE + GAP + LINE * lines
    width = max(columns, 3) * (TILE + GAP) + GAP
    title = textwrap.fill(title, int(width / CHARACTER))
    head = 0.3 + 0.19 * (title.count("\n") + 1)
    inches = np.array([width, head + rows * height])
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=inches)
        figure.text(GAP / inches[0], 1 - 0.08 / inches[1], title, va="top", fontsize=11, color=INK)
        for number, (image, text) in enumerate(shown):
            row, column = divmod(number, columns)
            left, top = GAP + column * (TILE + GAP), head + row * height
            place = left, inches[1] - top - TILE, TILE, TILE
            axes = figure.add_axes(np.array(place) / np.tile(inches, 2))
            axes.imshow(image, interpolation="nearest" if max(image.shape) < 100 else "antialiased")
            axes.set_axis_off()
            for at, line in enumerate(text):
                x, y = left, top + TILE + 0.04 + at * LINE
                figure.text(
                    *(x / inches[0], 1 - y / inches[1], shortened(line)),
                    va="top", fontsize=7.5, color=INK if at else COLOURS[0],
                )  # fmt: skip
        return write(figure, path_stem)


def shortened(text: str, letters: int = LETTERS) -> str:
    """Return a text of no more than so many letters, on one line: the middle of a longer one goes."""
    text = legible(readable(text))
    if len(text) <= letters:
        return text
    end = (letters - 1) * 2 // 3  # the end of a file's name tells more than its beginning
    return f"{text[: letters - 1 - end]}…{text[-end:]}"
