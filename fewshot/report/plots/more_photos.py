"""What more photos would bring a comparison's winner: measured with fewer, today's number, and carried on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fewshot.report.comparison import Comparison
from fewshot.report.plots.figures import COLOURS, GREY, INK
from fewshot.stats.intervals import Estimate

APART = 0.06  # of the axis, that numbers on it stand apart at least


def plot_more_photos(told: Comparison, width: float = 6.4):
    """Return the picture, `width` inches wide: right of 100 against photos of each class, a log axis.

    Bars are 95 % intervals. The line is dashed beyond today's number of photos, where nothing was measured.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(width, 4.4), layout="constrained")
    axes = figure.add_subplot()
    now = min(told.classes.values())
    today = {now: told.expected} if told.expected else {}
    fewer = dict(sorted(told.curve.items()))
    more = dict(sorted(told.ahead.items())) if today else {}
    for points, line in ((fewer | today, "-"), (today | more, "--")):
        if len(points) > 1:
            values = [point.value for point in points.values()]
            axes.plot(list(points), values, color=COLOURS[0], linewidth=1.4, linestyle=line)
    if today:
        axes.axvline(now, color=GREY, linewidth=1, linestyle=":")
    _draw(axes, fewer, "measured with fewer photos", COLOURS[0], told=False)
    _draw(axes, today, f"today: {now:,} photos of each class", COLOURS[1], "D", 7)
    _draw(axes, more, "carried on by the curve, not measured", COLOURS[0], hollow=True)
    axes.set_xscale("log")
    ticks = _apart([*today, *reversed(more), *reversed(fewer)])
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("photos of each class")
    axes.set_ylabel("right of 100 new photos")
    axes.set_ylim(top=min(101.0, axes.get_ylim()[1]))
    figure.legend(loc="outside lower center", ncols=1)
    return figure


def _draw(
    axes,
    points: Mapping[int, Estimate],
    label: str,
    colour: str,
    marker: str = "o",
    size: int = 5,
    hollow: bool = False,
    told: bool = True,
) -> None:
    """Draw points with their intervals; nothing where there are none. told: with their values beside them."""
    if not points:
        return
    values = np.array([point.value for point in points.values()])
    bounds = np.array([point.interval or (point.value, point.value) for point in points.values()])
    axes.errorbar(
        list(points),
        values,
        np.abs(bounds.T - values),
        color=colour,
        ecolor=colour,
        marker=marker,
        markersize=size,
        markerfacecolor="none" if hollow else colour,
        linestyle="none",
        elinewidth=1,
        capsize=3,
        label=label,
    )
    if told:
        for count, value in zip(points, values, strict=True):
            beside = {"xytext": (-7, 4), "textcoords": "offset points", "ha": "right"}
            axes.annotate(f"{value:.0f}", (count, value), color=INK, **beside)


def _apart(counts: list[int]) -> list[int]:
    """Return those of the counts whose numbers do not touch on a log axis; the first have precedence."""
    reach = np.log(max(counts) / min(counts)) or 1.0
    ticks: list[int] = []
    for count in counts:
        if all(abs(np.log(count / other)) >= APART * reach for other in ticks):
            ticks.append(count)
    return sorted(ticks)
