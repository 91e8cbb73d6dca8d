"""The pictures of a study: every task's accuracy under every method, and the learning curves.

Drawn with matplotlib's objects, never with pyplot, which would look for a display. The same results give
the same bytes, in PNG and in SVG.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fewshot.io.files import replacing
from fewshot.stats.comparison import MethodResult

# Okabe and Ito's colours, told apart with every common kind of colour blindness; without their yellow,
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


def strip(results: Sequence[MethodResult], baseline: str, path_stem: str | Path, title: str) -> list[Path]:
    """Draw one column a method and one dot a task; write PATH_STEM.png and .svg and return both paths.

    Grey lines join the dots of one task in neighbouring columns: parallel lines mean that the methods
    differ and the tasks do not matter. The baseline is drawn in orange, and its mean as a dashed line.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        return write(strip_figure(results, baseline, title), path_stem)


def curves(results: Sequence[MethodResult], path_stem: str | Path, title: str) -> list[Path]:
    """Draw loss and accuracy against updates, mean ± std over the seeds; write and return as `strip` does.

    Methods that are not trained step by step have no curve; if none has one, the picture says so.
    """
    from matplotlib import rc_context

    drawn = trained(results)
    with rc_context(STYLE):
        return write(curves_figure(drawn, title) if drawn else _no_curves(title), path_stem)


def trained(results: Sequence[MethodResult]) -> list[MethodResult]:
    """Return the methods that have a learning curve."""
    return [result for result in results if _curves_of(result, "loss")]


def write(figure, path_stem) -> list[Path]:
    """Save as PNG and SVG without dates; a file appears whole or not at all."""
    paths = [Path(f"{path_stem}.{kind}") for kind in ("png", "svg")]
    for path in paths:
        metadata = {"Date": None} if path.suffix == ".svg" else None
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=metadata)
    return paths


def strip_figure(results: Sequence[MethodResult], baseline: str, title: str):
    """Return what `strip` writes, drawn under `STYLE`."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

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
        colour = COLOURS[1] if result.method == baseline else COLOURS[0]
        axes.scatter(x[i], values[i], s=18, color=colour, alpha=0.6, linewidths=0, zorder=2)
        if result.mean is not None:
            half = [[result.mean - result.ci95[0]], [result.ci95[1] - result.mean]] if result.ci95 else None
            axes.errorbar(i + 0.22, result.mean, half, fmt="D", color=INK, markersize=5, capsize=3, zorder=3)

    handles = [
        Line2D([], [], color=GREY, marker="o", markersize=4.5, linestyle="", label="one task"),
        Line2D([], [], color=INK, marker="D", markersize=5, linestyle="", label="mean and 95 % interval"),
    ]
    reference = next((result.mean for result in results if result.method == baseline), None)
    if reference is not None and len(names) > 1:
        style = {"color": COLOURS[1], "linewidth": 1, "linestyle": "--", "zorder": 1}
        handles.append(axes.axhline(reference, label=f"mean of {baseline}", **style))
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
    axes.set_title(_wrapped(title, width - 0.8) + f"\n{_tasks(results)}", fontsize=11)
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if width > 8 else 2)
    return figure


def curves_figure(results: Sequence[MethodResult], title: str):
    """Return what `curves` writes of methods that have a curve, drawn under `STYLE`."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(10.5, max(4.2, 1.4 + 0.2 * len(results))), layout="constrained")
    panels = dict(zip(("loss", "accuracy"), figure.subplots(1, 2), strict=True))
    handles, dashed, losses = [], False, []
    alpha = min(0.12, 0.6 / len(results))
    for i, result in enumerate(results):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i // len(COLOURS) % len(MARKERS)]
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4, label=result.method))
        for quantity, axes in panels.items():
            for field, line in ((quantity, "-"), (f"held_out_{quantity}", "--")):
                found = _curves_of(result, field)
                if not found:
                    continue
                updates, mean, std = _average(found)
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
    figure.suptitle(_wrapped(title, 9) + f"\n{_tasks(results)}, mean ± std", fontsize=11)
    return figure


def _no_curves(title):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 1.6))
    figure.suptitle(_wrapped(title, 9), fontsize=11)
    figure.text(0.5, 0.35, "no learning curves: no trial was trained step by step", ha="center", color=GREY)
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


def _average(found):
    """Return updates, mean and std over the trials (std 0 for one trial).

    Tasks of unequal size are measured after unequal numbers of updates: they are interpolated onto the
    union of these, as far as all trials reach.
    """
    updates = np.unique(np.concatenate([update for update, _ in found]))
    first, last = max(update[0] for update, _ in found), min(update[-1] for update, _ in found)
    updates = updates[(updates >= first) & (updates <= last)]
    values = np.array([np.interp(updates, update, value) for update, value in found])
    std = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(len(updates))
    return updates, values.mean(axis=0), std


def _score(result, seed) -> float:
    return next((getattr(r, result.metric) for r in result.records if r.seed == seed and r.ok), np.nan)


def _metric(results) -> str:
    return results[0].metric.replace("_", " ")


def _tasks(results) -> str:
    """Return "n = 10 tasks", or the range where trials failed or are missing."""
    least, most = min(result.n for result in results), max(result.n for result in results)
    count = f"{most}" if least == most else f"{least} to {most}"
    return f"n = {count} {'task' if most == 1 else 'tasks'}"


def _wrapped(text, inches) -> str:
    return textwrap.fill(text, int(inches / CHARACTER))
