"""What a classifier of many classes came to, class by class, and the figures of rates and optimisers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from fewshot.io.files import slug
from fewshot.report.predictions import pool
from fewshot.report.table import aligned
from fewshot.stats import metrics
from fewshot.stats.comparison import analyse, summary
from fewshot.trials.record import Record
from fewshot.trials.store import Store

CONFUSED = 3  # pairs of classes that are named
Records = Mapping[str, Sequence[Record]]
Matrices: TypeAlias = "Mapping[str, tuple[tuple[str, ...], np.ndarray]]"  # method → classes, confusions


def details(matrices: Matrices) -> tuple[dict[str, dict], list[str]]:
    """Return, for each method, macro scores, every class's accuracy and the most confused pairs.

    As a document, and as the lines of a table. matrices: as `pooled` returns them.
    """
    entries = {}
    for method, (names, matrix) in matrices.items():
        confused = metrics.most_confused(matrix, CONFUSED)
        entries[method] = {
            **metrics.scores(matrix),
            "classes": dict(zip(names, metrics.per_class(matrix).tolist(), strict=True)),
            "confused": [{"class": names[i], "answer": names[j], "images": n} for i, j, n in confused],
        }
    heads = ["method", "precision", "recall", "F1", "best class", "worst class", "most confused"]
    rows = [[method, *_row(entry)] for method, entry in entries.items()]
    return entries, aligned([list(column) for column in zip(heads, *rows, strict=True)])


def runs(by_method: Records) -> tuple[dict[str, dict], list[str]]:
    """Return, for each method, the mean accuracy with its standard error, and the seconds of its runs.

    As a document, and as the lines of a table. Seconds are those of training and prediction; building the
    network, compiling and loading the images are apart: that is how those count who train in seconds.
    """
    entries = {}
    for method, records in by_method.items():
        told = [record for record in records if record.ok and record.setup_seconds is not None]
        if told:
            entries[method] = {
                "n": len(told),
                "accuracy": _mean(record.accuracy for record in told),
                "seconds": _mean(record.seconds - record.setup_seconds for record in told),
                "setup_seconds": _mean(record.setup_seconds for record in told),
                "longest_setup_seconds": max(record.setup_seconds for record in told),
            }
    heads = ["method", "n", "mean ± standard error", "seconds a run", "setting up, apart", "at most"]
    rows = [
        [
            method,
            str(entry["n"]),
            _with_error(entry["accuracy"], ".3f"),
            _with_error(entry["seconds"], ".2f"),
            f"{entry['setup_seconds']['mean']:.2f}",
            f"{entry['longest_setup_seconds']:.2f}",
        ]
        for method, entry in entries.items()
    ]
    return entries, aligned([list(column) for column in zip(heads, *rows, strict=True)]) if rows else []


def _mean(values: Iterable[float]) -> dict[str, float | None]:
    """Return the mean and its standard error, None for a single value."""
    summed = summary(values)
    error = None if summed.std is None else summed.std / summed.n**0.5
    return {"mean": summed.mean, "standard_error": error}


def _with_error(mean: Mapping[str, float | None], form: str) -> str:
    text, error = format(mean["mean"], form), mean["standard_error"]
    return text if error is None else f"{text} ± {error:{form}}"


def pictures(by_method: Records, matrices: Matrices, folder: Path) -> list[str]:
    """Draw the confusion matrices, and for each network and optimiser its learning rates' curves."""
    from fewshot.report.plots import Compared, write_plot
    from fewshot.report.plots.confusion import confusions

    paths: list[Path] = []
    if matrices:
        names = next(iter(matrices.values()))[0]
        counts = {method: matrix for method, (_, matrix) in matrices.items()}
        paths += confusions(counts, names, folder / "confusion", "Which class is taken for which")
    groups: dict[tuple[str, str], dict] = {}
    for method, records in by_method.items():
        learner = records[0].learner
        if "recipe" in learner:
            key = learner["network"], learner["recipe"]["optimizer"]
            groups.setdefault(key, {})[method] = records
    for (network, optimizer), group in groups.items():
        if len(group) > 1:
            baseline = next(iter(group))
            compared = Compared(analyse(group, baseline), baseline, f"{network}, {optimizer}")
            paths += write_plot("curves", compared, folder / f"curves-{slug(network)}-{slug(optimizer)}")
    return [str(path) for path in paths]


def pooled(by_method: Records, out: str) -> Matrices:
    """Return class names and confusion matrix, over all seeds, of each method that has predictions."""
    store, matrices = Store(out), {}
    for method, records in by_method.items():
        known = pool(store, records)
        if len(known.truth):
            matrix = metrics.confusion(known.truth, known.predicted, len(known.names))
            matrices[method] = known.names, matrix
    return matrices


def _row(entry: dict) -> list[str]:
    classes = {name: value for name, value in entry["classes"].items() if value == value}
    best, worst = max(classes, key=classes.get), min(classes, key=classes.get)
    confused = ", ".join(f"{c['class']} → {c['answer']} {c['images']}" for c in entry["confused"])
    scores = [f"{entry[name]:.2f}" for name in ("precision", "recall", "f1")]
    return [*scores, f"{best} {classes[best]:.1f}", f"{worst} {classes[worst]:.1f}", confused or "–"]
