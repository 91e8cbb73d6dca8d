"""One quantity against another, a named dot each: what accuracy costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fewshot.report.plots.figures import COLOURS, GREY, STYLE, write

LETTER, LINE = 0.068, 0.13  # inches: a letter's mean width and a line's height in the size used here
GAP = 0.08
# Where a name may stand, seen from its dot, in inches; it turns its near side to the dot.
PLACES = [
    *((side * GAP, up * LINE) for up in (0, 0.7, -0.7) for side in (1, -1)),
    *((0, up * LINE) for up in (1.3, -1.3)),
    *((side * 3 * GAP, up * LINE) for up in (1.5, -1.5, 2.5, -2.5) for side in (1, -1)),
]


def scatter(
    points: Mapping[str, tuple[float, float]],
    path_stem: str | Path,
    labels: tuple[str, str],
    title: str,
    log: tuple[bool, bool],
) -> list[Path]:
    """Draw a dot for every name at its (x, y); write PATH_STEM.png and .svg and return both paths.

    labels: of the axes. log: whether each of them is logarithmic.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        return write(_scatter(points, labels, title, log), path_stem)


def _scatter(points, labels, title, log):
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.add_subplot()
    values = np.array(list(points.values()), float)
    axes.scatter(*values.T, s=22, color=COLOURS[0], zorder=3)
    for axis, label, is_log in zip((axes.xaxis, axes.yaxis), labels, log, strict=True):
        axis.set_label_text(label)
        if is_log:
            getattr(axes, f"set_{axis.axis_name}scale")("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:,g}")
            axis.set_minor_formatter(NullFormatter())  # it would write powers of ten between them
    axes.grid(axis="x")
    axes.margins(x=0.14, y=0.08)  # room for names
    axes.set_title(title, fontsize=11)
    figure.draw_without_rendering()  # settles where the dots stand
    dots = axes.transData.transform(values) / figure.dpi
    for name, value, place in zip(points, values, _places(list(points), dots), strict=True):
        ha = "center" if not place[0] else "left" if place[0] > 0 else "right"
        arrow = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5} if abs(place[0]) > GAP else None
        axes.annotate(
            name,
            value,
            [72 * inches for inches in place],
            textcoords="offset points",
            ha=ha,
            va="center",
            fontsize=8,
            arrowprops=arrow,
        )
    return figure


def _places(names: list[str], dots: np.ndarray) -> list[tuple[float, float]]:
    """Return for every name the first place where it covers no dot and no name before it, if there is one."""
    taken = [(x - 0.04, y - 0.04, x + 0.04, y + 0.04) for x, y in dots]
    places = []
    for name, dot in zip(names, dots, strict=True):
        boxes = [_box(name, dot, place) for place in PLACES]
        covered = [sum(_overlap(box, other) for other in taken) for box in boxes]
        best = int(np.argmin(covered))
        taken.append(boxes[best])
        places.append(PLACES[best])
    return places


def _box(name, dot, place) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of a name."""
    width = LETTER * len(name)
    shift = -width / 2 if not place[0] else 0 if place[0] > 0 else -width
    left, middle = dot[0] + place[0] + shift, dot[1] + place[1]
    return left, middle - LINE / 2, left + width, middle + LINE / 2


def _overlap(a, b) -> float:
    """Return the area that two boxes share."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)
