"""Learning curves: loss and accuracy against updates."""

from __future__ import annotations

import numpy as np

from fewshot.report.plots import Compared, plots
from fewshot.report.plots.figures import COLOURS, GREY, MARKERS, tasks, wrapped


@plots.register(
    "curves",
    caption="Learning curves of {methods}, mean ± std over the tasks",
    needs="curves",
    at_most=12,
    empty="no learning curves: no trial was trained step by step",
)
def plot_curves(compared: Compared):
    """Plot loss and accuracy against updates, mean ± std over the seeds."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    results = compared.results
    figure = Figure(figsize=(10.5, max(4.2, 1.4 + 0.2 * len(results))), layout="constrained")
    panels = dict(zip(("loss", "accuracy"), figure.subplots(1, 2), strict=True))
    handles, dashed, losses = [], False, []
    alpha = min(0.12, 0.6 / len(results))
    for i, result in enumerate(results):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i // len(COLOURS) % len(MARKERS)]
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4, label=result.method))
        for quantity, axes in panels.items():
            for field, line in ((quantity, "-"), (f"held_out_{quantity}", "--")):
                curves = _curves_of(result, field)
                if not curves:
                    continue
                updates, mean, std = _average(curves)
                style = {"color": colour, "linewidth": 1.5, "linestyle": line}
                axes.plot(updates, mean, marker=marker, markersize=4, markevery=0.2, **style)
                axes.fill_between(updates, mean - std, mean + std, color=colour, alpha=alpha, linewidth=0)
                dashed |= line == "--"
                losses += [mean] * (quantity == "loss")

    _scale_loss(panels["loss"], np.concatenate(losses))
    panels["loss"].set_ylabel("loss")
    panels["accuracy"].set_ylabel("accuracy (%)")
    for axes in panels.values():
        axes.set_xlabel("updates")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.margins(x=0.02)
    handles.append(Line2D([], [], color=GREY, label="training"))
    if dashed:
        handles.append(Line2D([], [], color=GREY, linestyle="--", label="held out"))
    figure.legend(handles=handles, loc="outside right upper", ncols=1)
    figure.suptitle(wrapped(compared.title, 9) + f"\n{tasks(results)}, mean ± std", fontsize=11)
    return figure


def _scale_loss(axes, means):
    """Use a log scale if the mean losses span more than two decades, and fit the axis to them."""
    positive = means[means > 0]
    if positive.size and positive.max() > 100 * positive.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        # On a log scale mean - std may be below zero: the means, not the bands, set the limits.
        axes.set_ylim(positive.min() / 1.5, positive.max() * 1.5)
    else:
        axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))


def _curves_of(result, field) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (updates, values) of every successful trial that recorded the field."""
    recorded = [record.curve or {} for record in result.records if record.ok]
    return [
        (np.asarray(curve["update"], float), np.asarray(curve[field], float))
        for curve in recorded
        if curve.get(field)
    ]


def _average(curves):
    """Return updates, mean and std over the trials (std 0 for one trial).

    Tasks of unequal size are measured after unequal numbers of updates: they are interpolated onto the
    union of these, as far as all trials reach.
    """
    updates = np.unique(np.concatenate([update for update, _ in curves]))
    first, last = max(update[0] for update, _ in curves), min(update[-1] for update, _ in curves)
    updates = updates[(updates >= first) & (updates <= last)]
    values = np.array([np.interp(updates, update, value) for update, value in curves])
    std = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(len(updates))
    return updates, values.mean(axis=0), std
