"""Do probabilities mean what they say? Of all predictions with 80 %, do 80 % come true?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fewshot.report.plots import Compared, plots
from fewshot.report.plots.figures import COLOURS, GREY
from fewshot.report.predictions import Pooled

BINS = 10
FEW = 0.002  # the least share of predictions that makes a dot


@dataclass(frozen=True)
class Calibration:
    """Bins of equal width in confidence, those with predictions: their mean confidence and accuracy (0–1),
    how many predictions they hold, and over all the expected calibration error in percentage points.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    ece: float


def calibrate(pooled: Pooled) -> Calibration:
    """Bin predictions by the probability of the predicted class (Guo et al., ICML 2017)."""
    correct = pooled.truth == pooled.predicted
    bins = np.minimum((pooled.confidence * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    filled = count > 0
    confidence = np.bincount(bins, pooled.confidence, BINS)[filled] / count[filled]
    accuracy = np.bincount(bins, correct, BINS)[filled] / count[filled]
    ece = 100 * float(np.sum(count[filled] * np.abs(accuracy - confidence)) / max(1, count.sum()))
    return Calibration(confidence, accuracy, count[filled], ece)


def _caption(compared: Compared) -> str:
    text = "Reliability: below the diagonal, a method promises more than it keeps"
    errors = ", ".join(
        f"{result.method} {calibrate(compared.predictions[result.method]).ece:.1f}"
        for result in compared.results
    )
    return f"{text}. Expected calibration error, percentage points: {errors}"


@plots.register(
    "calibration", caption=_caption, needs="predictions", at_most=7, empty="no predictions were kept"
)
def plot_calibration(compared: Compared):
    """Plot the reliability diagram of some methods."""
    return reliability(
        {result.method: calibrate(compared.predictions[result.method]) for result in compared.results}
    )


def reliability(calibrations: Mapping[str, Calibration]):
    """Plot how right the answers of some methods are against how sure they are: dots below promise too much.

    A dot's area is the share of the method's predictions in it; what holds hardly any is left out.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="just as right as it is sure")
    for i, (method, calibration) in enumerate(calibrations.items()):
        colour = COLOURS[i % len(COLOURS)]
        label = f"{method}: {calibration.ece:.1f} points off (ECE)"
        shares = calibration.count / calibration.count.sum()
        plotted = shares >= FEW
        x, y = calibration.confidence[plotted], calibration.accuracy[plotted]
        axes.plot(x, y, color=colour, linewidth=1.2, label=label)
        axes.scatter(x, y, 8 + 160 * shares[plotted], color=colour, alpha=0.6, linewidths=0)
    axes.set_xlabel("how sure: mean probability of the answers")
    axes.set_ylabel("how right: share of right answers")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(axis="x")
    figure.legend(loc="outside lower center", ncols=1)
    return figure
