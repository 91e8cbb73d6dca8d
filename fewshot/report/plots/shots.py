"""What more images bring: accuracy against training images a class, where a method was run with several."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from fewshot.data.protocols import TUNING
from fewshot.report.groups import labelled
from fewshot.report.plots.figures import COLOURS, MARKERS
from fewshot.stats.comparison import ACCURACIES, Summary, summary
from fewshot.trials.record import Record

LARGEST = 8  # methods in a picture

Curve = dict[int, Summary]  # shots → accuracies


def shots_curves(records: Iterable[Record]) -> dict[str, dict[str, Curve]]:
    """Return, for tasks that differ in their shots alone, the methods that were run with several.

    The keys name the tasks ("cifar10, testbed"), then the methods, best first, at most `LARGEST`.
    """
    alike = defaultdict(list)
    for record in records:
        if record.ok and record.seed < TUNING and record.protocol.get("shots"):
            protocol = {key: value for key, value in record.protocol.items() if key != "shots"}
            alike[json.dumps([protocol, record.threads, record.device], sort_keys=True)].append(record)
    by_tasks = {}
    for members in alike.values():
        curves = {method: _curve(runs) for method, runs in labelled(members).items()}
        curves = {method: curve for method, curve in curves.items() if len(curve) > 1}
        best = sorted(curves, key=lambda method: -max(point.mean for point in curves[method].values()))
        if best:
            protocol = members[0].protocol
            title = f"{protocol['data']}, {protocol['name']}"
            while title in by_tasks:
                title += "′"
            by_tasks[title] = {method: curves[method] for method in best[:LARGEST]}
    return by_tasks


def _curve(records: list[Record]) -> Curve:
    """Return the accuracies on the seeds that all numbers of shots share, or on all where none is shared."""
    by_shots = defaultdict(dict)
    for record in records:
        by_shots[record.protocol["shots"]][record.seed] = record.accuracy
    shared = set.intersection(*map(set, by_shots.values()))
    return {
        shots: summary(
            (value for seed, value in values.items() if seed in shared or not shared), limits=ACCURACIES
        )
        for shots, values in sorted(by_shots.items())
    }


def plot_shots(curves: Mapping[str, Curve], width: float = 6.4):
    """Return the picture, `width` inches wide: mean and 95 % interval against shots, a log axis."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(width, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for i, (method, curve) in enumerate(curves.items()):
        colour, marker = COLOURS[i % len(COLOURS)], (MARKERS[i // len(COLOURS) % len(MARKERS)] or "D")
        means = np.array([point.mean for point in curve.values()])
        bounds = np.array([point.ci95 or (point.mean, point.mean) for point in curve.values()])
        half = np.abs(bounds.T - means)
        shift = 1.02 ** (i - (len(curves) - 1) / 2)  # so that intervals do not hide one another
        x = np.array(list(curve)) * shift
        axes.errorbar(x, means, half, color=colour, marker=marker, markersize=4, capsize=3, label=method)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(
        FixedLocator(sorted({shots for curve in curves.values() for shots in curve}))
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("training images a class")
    axes.set_ylabel("accuracy (%)")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
