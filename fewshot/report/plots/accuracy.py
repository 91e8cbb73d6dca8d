"""Every task's accuracy under every method."""

from __future__ import annotations

import numpy as np

from fewshot.report.plots import Compared, plots
from fewshot.report.plots.figures import CHARACTER, COLOURS, GREY, INK, tasks, wrapped


@plots.register("accuracy", caption="Accuracy of {methods} on each task, joined by task", at_most=24)
def plot_accuracy(compared: Compared):
    """Plot one column a method and one dot a task.

    Grey lines join the dots of one task in neighbouring columns: parallel lines mean that the methods
    differ and the tasks do not matter. The baseline is orange, its mean a dashed line.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    results = compared.results
    names = [result.method for result in results]
    seeds = sorted({record.seed for result in results for record in result.records})
    values = np.array([[_score(result, seed) for seed in seeds] for result in results], float)
    # A task stands at the same offset in every column, so that its dots do not hide one another's.
    offsets = np.linspace(-0.27, 0.07, len(seeds)) if len(seeds) > 1 else np.full(len(seeds), -0.1)
    width = max(6.4, 1.5 + 0.65 * len(names))
    longest = CHARACTER * max(map(len, names))
    tilted = longest + CHARACTER > (width - 1) / len(names)

    figure = Figure(figsize=(width, 4.8 + tilted * longest / 2), layout="constrained")
    axes = figure.add_subplot()
    x = np.arange(len(names))[:, None] + offsets
    axes.plot(x, values, color=GREY, linewidth=0.6, alpha=0.45, zorder=1)
    for i, result in enumerate(results):
        colour = COLOURS[1] if result.method == compared.baseline else COLOURS[0]
        axes.scatter(x[i], values[i], s=18, color=colour, alpha=0.6, linewidths=0, zorder=2)
        if result.mean is not None:
            half = [[result.mean - result.ci95[0]], [result.ci95[1] - result.mean]] if result.ci95 else None
            axes.errorbar(i + 0.22, result.mean, half, fmt="D", color=INK, markersize=5, capsize=3, zorder=3)

    handles = [
        Line2D([], [], color=GREY, marker="o", markersize=4.5, linestyle="", label="one task"),
        Line2D([], [], color=INK, marker="D", markersize=5, linestyle="", label="mean and 95 % interval"),
    ]
    reference = next((result.mean for result in results if result.method == compared.baseline), None)
    if reference is not None and len(names) > 1:
        style = {"color": COLOURS[1], "linewidth": 1, "linestyle": "--", "zorder": 1}
        handles.append(axes.axhline(reference, label=f"mean of {compared.baseline}", **style))
    ways = {len(record.classes) for result in results for record in result.records}
    if len(ways) == 1:
        chance = 100 / ways.pop()
        style = {"color": INK, "linewidth": 1, "linestyle": ":", "zorder": 1}
        handles.append(axes.axhline(chance, label=f"chance ({chance:.3g} %)", **style))

    axes.set_xticks(range(len(names)), names)
    if tilted:
        axes.tick_params(axis="x", labelrotation=35)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylabel(f"{_metric(results)} (%)")
    axes.set_title(wrapped(compared.title, width - 0.8) + f"\n{tasks(results)}", fontsize=11)
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if width > 8 else 2)
    return figure


def _score(result, seed) -> float:
    return next((getattr(r, result.metric) for r in result.records if r.seed == seed and r.ok), np.nan)


def _metric(results) -> str:
    return results[0].metric.replace("_", " ")
