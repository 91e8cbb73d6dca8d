"""The pictures of a study: one decorated function each, in a file of this folder or in a plugin.

    @plots.register("accuracy", caption="Accuracy of {methods} on each task", at_most=24)
    def plot_accuracy(compared): ...  # returns a matplotlib figure

A study names its plots, writes them to `NAME.png` and `NAME.svg`, and lists them in its `result.json`; the
page of a results folder shows the same ones.

Traits: `caption`, text with {methods} for how many there are, or a function of what is shown that returns it.
`needs`: "curves" or "predictions", what methods must have to be shown; default: nothing. `at_most`: methods
that a page has room for. `empty`: what the picture says where no method can be shown.

Further files of this folder plot other things: sheets of images, costs of networks, datasets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fewshot.registry import Registry, import_all
from fewshot.report.predictions import Pooled, pool
from fewshot.stats.comparison import MethodResult
from fewshot.trials.store import Store
from fewshot.wording import plural

plots = Registry("plot")
USUAL = ("accuracy", "curves")  # of a study that names none


@dataclass(frozen=True)
class Compared:
    """What a study's plots show.

    Parameters
    ----------
    results : sequence of MethodResult
        The methods, in the order in which they are shown.
    baseline : str
        The name of the method that the others are compared with.
    title : str
        Data and tasks in a line.
    predictions : mapping of str to Pooled
        Method → its held-out predictions; empty where no plot needs them (`predictions_for`).
    """

    results: Sequence[MethodResult]
    baseline: str
    title: str
    predictions: Mapping[str, Pooled] = field(default_factory=dict)


def predictions_for(names: Iterable[str], results: Iterable[MethodResult], store: Store) -> dict[str, Pooled]:
    """Return the predictions of every method that has some, if one of the plots needs them."""
    if all(plots[name].traits.get("needs") != "predictions" for name in names):
        return {}
    pooled = {result.method: pool(store, result.records) for result in results}
    return {method: predictions for method, predictions in pooled.items() if len(predictions.truth)}


def shown(name: str, compared: Compared) -> Compared:
    """Return what is compared, without the methods that lack what a plot needs."""
    needs = plots[name].traits.get("needs")
    results = [result for result in compared.results if not needs or NEEDS[needs](result, compared)]
    return replace(compared, results=results)


def foremost(compared: Compared, limit: int) -> Compared:
    """Return what is compared: all methods, or the baseline and those with the highest means, in order."""
    ranked = sorted(
        compared.results,
        key=lambda result: (result.method != compared.baseline, result.mean is None, -(result.mean or 0)),
    )
    kept = [result.method for result in ranked[:limit]]
    return replace(compared, results=[result for result in compared.results if result.method in kept])


def caption(name: str, compared: Compared) -> str:
    """Return what a plot shows, in words."""
    text = plots[name].traits.get("caption", name)
    if callable(text):
        return text(compared)
    count = len(compared.results)
    return text.format(methods=plural(count, "method"))


def make_plot(name: str, compared: Compared):
    """Return a plot as a matplotlib figure; where nothing can be shown, one that says so."""
    from matplotlib import rc_context

    from fewshot.report.plots.figures import STYLE, empty_figure

    with rc_context(STYLE):
        able = shown(name, compared)
        if able.results:
            return plots[name](able)
        return empty_figure(compared.title, plots[name].traits.get("empty", "nothing to show"))


def write_plot(name: str, compared: Compared, path_stem: str | Path) -> list[Path]:
    """Write a plot to PATH_STEM.png and .svg and return both paths."""
    from matplotlib import rc_context

    from fewshot.report.plots.figures import STYLE, write

    with rc_context(STYLE):
        return write(make_plot(name, compared), path_stem)


def _has_curve(result: MethodResult, compared: Compared) -> bool:
    return any(record.ok and (record.curve or {}).get("loss") for record in result.records)


def _has_predictions(result: MethodResult, compared: Compared) -> bool:
    return result.method in compared.predictions


NEEDS = {"curves": _has_curve, "predictions": _has_predictions}

import_all(__name__, __path__, but=("sheet",))
