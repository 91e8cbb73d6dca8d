"""A table of means as a heat map, the spread in each cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fewshot.report.plots.figures import STYLE, write


def heat(
    cells: Mapping[tuple[object, object], tuple[float, float]],
    path_stem: str | Path,
    labels: tuple[str, str],
    title: str,
) -> list[Path]:
    """Draw (row, column) → (mean, std); write PATH_STEM.png and .svg and return both paths.

    labels: what rows and columns are.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        return write(_heat(cells, labels, title), path_stem)


def _heat(cells, labels, title):
    from matplotlib.figure import Figure

    rows, columns = (list(dict.fromkeys(key[axis] for key in cells)) for axis in (0, 1))
    means = np.full((len(rows), len(columns)), np.nan)
    figure = Figure(figsize=(1.6 + 1.3 * len(columns), 1.4 + 0.7 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for (row, column), (mean, _) in cells.items():
        means[rows.index(row), columns.index(column)] = np.nan if mean is None else mean
    image = axes.imshow(means, cmap="cividis", aspect="auto")
    middle = (np.nanmin(means) + np.nanmax(means)) / 2 if np.isfinite(means).any() else 0
    for (row, column), (mean, std) in cells.items():
        y, x = rows.index(row), columns.index(column)
        known = mean is not None
        text = f"{mean:.1f}" + (f" ± {std:.1f}" if std is not None else "") if known else "failed"
        colour = "black" if known and mean > middle else "white"
        axes.text(x, y, text, ha="center", va="center", color=colour if known else "black", fontsize=10)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_ylabel(labels[0])
    axes.set_xlabel(labels[1])
    axes.grid(False)
    axes.set_title(title, fontsize=11)
    figure.colorbar(image, label="accuracy (%)")
    return figure
