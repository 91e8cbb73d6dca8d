"""Pictures of a dataset: counts a class, pixel statistics, and views in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fewshot.report.plots.figures import CHARACTER, COLOURS, GREY, STYLE, write

CHANNELS = {"red": "#D55E00", "green": "#009E73", "blue": "#0072B2"}
NAMED = 20  # classes in a legend: colours of more are not distinguishable


def counts(counts_by_part: Mapping[str, Mapping[str, int]], path_stem: str | Path, title: str) -> list[Path]:
    """Draw part → class → images as bars; write PATH_STEM.png and .svg and return both paths."""
    from matplotlib import rc_context

    with rc_context(STYLE | {"axes.grid.axis": "x"}):
        return write(_counts(counts_by_part, title), path_stem)


def pixels(
    histogram: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
    classes: Sequence[str],
    path_stem: str | Path,
    title: str,
) -> list[Path]:
    """Draw the distribution of values a channel, and mean and deviation of every class.

    histogram: (channels, 256). mean, std: (classes, channels), in units of 255. Writes as `counts` does.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        return write(_pixels(histogram, mean, std, classes, title), path_stem)


def views(
    spaces: Mapping[str, Mapping[str, tuple[np.ndarray, str]]],
    labels: np.ndarray,
    classes: Sequence[str],
    path_stem: str | Path,
    title: str,
) -> list[Path]:
    """Draw space → view → (points (N, 2), what to say of them), a row of panels for each space.

    labels: (N,), of the points. Writes as `counts` does.
    """
    from matplotlib import rc_context

    with rc_context(STYLE | {"axes.grid": False}):
        return write(_views(spaces, labels, classes, title), path_stem)


def _counts(counts_by_part, title):
    from matplotlib.figure import Figure

    classes = list(next(iter(counts_by_part.values())))
    height = 1.4 + (0.08 + 0.14 * len(counts_by_part)) * len(classes)
    margin = CHARACTER * max(map(len, classes))
    figure = Figure(figsize=(5.5 + margin, max(2.4, height)), layout="constrained")
    axes = figure.add_subplot()
    thick = 0.8 / len(counts_by_part)
    for number, (part, by_class) in enumerate(counts_by_part.items()):
        places = np.arange(len(classes)) + (number - (len(counts_by_part) - 1) / 2) * thick
        axes.barh(places, list(by_class.values()), 0.9 * thick, color=COLOURS[number], label=part)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_ylim(len(classes) - 0.4, -0.6)  # the first class on top
    axes.set_xlabel("images")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    figure.legend(loc="outside lower center", ncols=len(counts_by_part))
    axes.set_title(title, fontsize=11)
    return figure


def _pixels(histogram, mean, std, classes, title):
    from matplotlib.figure import Figure

    width = max(4.5, 0.4 * len(classes))
    figure = Figure(figsize=(4.5 + width, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(4, width))
    for number, (name, colour) in enumerate(CHANNELS.items()):
        share = 100 * histogram[number] / max(histogram[number].sum(), 1)
        left.stairs(share, np.arange(257), color=colour, linewidth=1.2, label=name)
        places = np.arange(len(classes)) + 0.22 * (number - 1)
        right.errorbar(
            places, mean[:, number], std[:, number], fmt="o", color=colour, markersize=4, linewidth=1.2
        )
    # Black and white are often cut off and pile up: they may rise above the picture.
    inner = 100 * histogram[:, 1:-1] / np.maximum(histogram.sum(1, keepdims=True), 1)
    left.set_ylim(0, 1.15 * inner.max() or None)
    left.set(xlabel="value", ylabel="pixels (%)", xlim=(0, 256))
    left.legend(fontsize=8)
    left.set_title("all images", fontsize=10)
    right.set_xticks(range(len(classes)), classes, rotation=35, ha="right", rotation_mode="anchor")
    right.set(ylabel="mean ± std of the pixels (white: 1)", ylim=(0, 1))
    right.set_title("class by class", fontsize=10)
    figure.suptitle(title, fontsize=11)
    return figure


def _views(spaces, labels, classes, title):
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    columns = max(map(len, spaces.values()))
    figure = Figure(figsize=(1.8 + 4.4 * columns, 0.7 + 4.3 * len(spaces)), layout="constrained")
    grid = figure.subplots(len(spaces), columns, squeeze=False)
    colours = _class_colours(len(classes))
    size = np.clip(6000 / max(len(labels), 1), 4, 24)
    for row, (space, shown) in zip(grid, spaces.items(), strict=True):
        for axes, (name, (points, said)) in zip(row, shown.items(), strict=False):
            axes.scatter(*points.T, s=size, c=colours[labels], linewidths=0, alpha=0.75)
            axes.set_title(f"{name} of {space}\n{said}", fontsize=9)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(True)
            axes.spines[:].set_color(GREY)
    if len(classes) <= NAMED:
        handles = [
            Line2D([], [], color=colour, marker="o", linestyle="", markersize=5, label=name)
            for name, colour in zip(classes, colours, strict=True)
        ]
        figure.legend(handles=handles, loc="outside right center")
    figure.suptitle(title, fontsize=11)
    return figure


def _class_colours(count):
    """Return colours, (count, 4), as different as so many can be."""
    from matplotlib import colormaps

    if count <= len(COLOURS):
        from matplotlib.colors import to_rgba_array

        return to_rgba_array(COLOURS[:count])
    if count <= NAMED:
        return np.array([colormaps["tab10" if count <= 10 else "tab20"](i) for i in range(count)])
    return colormaps["gist_rainbow"](np.linspace(0, 1, count))
