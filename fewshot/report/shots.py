"""The curve of shots: accuracy against training images a class."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fewshot.report.figures import COLOURS, STYLE, write


def shots_curve(points: Mapping[int, Sequence[float]], path_stem: str | Path, title: str) -> list[Path]:
    """Draw each draw's accuracy and their mean, shots → accuracies in percent; return both paths."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shots = sorted(points)
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for number in shots:
            axes.plot([number] * len(points[number]), points[number], ".", color=COLOURS[0], alpha=0.5)
        axes.plot(shots, [np.mean(points[number]) for number in shots], "D-", color=COLOURS[1], label="mean")
        axes.set_xscale("log")
        axes.set_xticks(shots, [str(number) for number in shots])
        axes.minorticks_off()
        axes.set_xlabel("training images a class")
        axes.set_ylabel("accuracy (%)")
        axes.legend()
        figure.suptitle(title, fontsize=11)
        return write(figure, path_stem)
