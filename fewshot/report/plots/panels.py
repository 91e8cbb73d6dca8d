"""Lines side by side: a panel for each question, a colour for each line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from fewshot.report.plots.figures import COLOURS, GREY, STYLE, write

COLUMNS = 2
Lines = Mapping[str, Mapping[str, Sequence[float]]]  # name → "x", "training" and, where measured, "test"


def panels(
    parts: Mapping[str, Lines], path_stem: str | Path, title: str, labels: tuple[str, str]
) -> list[Path]:
    """Draw a panel for each part; write PATH_STEM.png and .svg and return both paths.

    parts: title → its lines. labels: of the axes. Training is drawn solid, test dashed.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        return write(_panels(parts, title, labels), path_stem)


def _panels(parts, title, labels):
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    columns = min(COLUMNS, len(parts))
    down = math.ceil(len(parts) / columns)
    figure = Figure(figsize=(0.6 + 5 * columns, 0.8 + 3.6 * down), layout="constrained")
    grid = list(figure.subplots(down, columns, squeeze=False).flat)
    for axes, (heading, lines) in zip(grid, parts.items(), strict=False):
        handles, dashed = [], False
        for colour, (name, line) in zip(COLOURS, lines.items(), strict=False):
            # A line of few points, such as one epoch's, shows where they are.
            style = {"color": colour, "linewidth": 1.5, "marker": "." if len(line["x"]) < 5 else None}
            axes.plot(line["x"], line["training"], **style)
            if line.get("test"):
                axes.plot(line["x"], line["test"], **style, linestyle="--")
                dashed = True
            handles.append(Line2D([], [], color=colour, label=name))
        handles.append(Line2D([], [], color=GREY, label="training"))
        if dashed:
            handles.append(Line2D([], [], color=GREY, linestyle="--", label="test"))
        axes.set_title(heading, fontsize=10)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.legend(handles=handles, fontsize=8, loc="best")
    for axes in grid[len(parts) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure
