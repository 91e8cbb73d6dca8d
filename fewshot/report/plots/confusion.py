"""Confusion matrices side by side: which class is taken for which, in percent of the images of a class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fewshot.report.plots.figures import STYLE, write
from fewshot.stats import metrics

COLUMNS = 4
WRITTEN = 20  # classes: beyond, cells are too small for numbers and axes for names


def confusions(
    matrices: Mapping[str, np.ndarray], classes: Sequence[str], path_stem: str | Path, title: str
) -> list[Path]:
    """Draw a matrix for each name; write PATH_STEM.png and .svg and return both paths.

    matrices: counts, (classes, classes), a row for each true class (`fewshot.stats.metrics.confusion`).
    """
    from matplotlib import rc_context

    with rc_context(STYLE | {"axes.grid": False}):
        return write(_confusions(matrices, classes, title), path_stem)


def _confusions(matrices, classes, title):
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(matrices))
    down = math.ceil(len(matrices) / columns)
    written = len(classes) <= WRITTEN
    side = max(3.0, 0.28 * len(classes)) if written else 3.6
    figure = Figure(figsize=(1 + side * columns, 0.9 + (side + 0.3) * down), layout="constrained")
    grid = figure.subplots(down, columns, squeeze=False)
    places = list(np.ndindex(grid.shape))
    for (row, column), (name, counts) in zip(places, matrices.items(), strict=False):
        axes = grid[row, column]
        share = metrics.shares(counts)
        axes.imshow(share, cmap="cividis", vmin=0, vmax=100)
        below = (row + 1) * columns + column >= len(matrices)  # nothing below it: the names stand here
        if written:
            _numbers(axes, share)
            axes.set_xticks(range(len(classes)), classes if below else [], rotation=90, fontsize=7)
            axes.set_yticks(range(len(classes)), [] if column else classes, fontsize=7)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
        axes.tick_params(length=0)
        axes.set_title(name, fontsize=9)
        if below:
            axes.set_xlabel("answer", fontsize=8)
        if not column:
            axes.set_ylabel("class", fontsize=8)
    for place in places[len(matrices) :]:
        grid[place].set_visible(False)
    figure.suptitle(f"{title}; percent of the images of a class", fontsize=11)
    return figure


def _numbers(axes, share):
    """Write the percents, whole numbers, where they are not 0."""
    for row, column in np.argwhere(share >= 0.5):
        value = share[row, column]
        colour = "black" if value > 50 else "white"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=6)
