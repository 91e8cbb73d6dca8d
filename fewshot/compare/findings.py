"""What a comparison found: as JSON, in words, and in pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fewshot.data import Dataset, Prepared, Splits
from fewshot.data.protocols import Protocol
from fewshot.report.comparison import columns, read
from fewshot.report.table import aligned
from fewshot.stats import selection
from fewshot.trials.record import Record

SHOWN = 24  # images on a sheet


@dataclass(frozen=True)
class Findings:
    """The end of a comparison.

    Parameters
    ----------
    table
        The methods, the winner first.
    costs
        Method → median seconds of a trial.
    records
        Method → draw → record.
    points
        The winner's accuracies, training images a class → one a draw.
    hard
        The images that every method gets wrong, as `fewshot.compare.hard.hard_images` returns them.
    repeated
        The groups of near-duplicates that were kept on one side, each as positions.
    data, protocol
        The images, and how the draws were made.
    command
        The command line that asked for it, if one did.
    model
        "method", "path" and "card" of what was saved; None where nothing was.
    figures
        The paths of the pictures.
    """

    table: Sequence[selection.Standing]
    costs: Mapping[str, float]
    records: Mapping[str, Mapping[int, Record]]
    points: Mapping[int, Sequence[float]]
    hard: Sequence[tuple[int, str, int]]
    repeated: Sequence[np.ndarray]
    data: Prepared
    protocol: Protocol
    command: str = ""
    model: Mapping[str, str] | None = None
    figures: Sequence[str] = ()

    @property
    def winner(self) -> str:
        """The name of the method to use."""
        return self.table[0].method

    def document(self) -> dict:
        """Return all that was found, ready for JSON."""
        curve = {shots: float(np.mean(accuracies)) for shots, accuracies in self.points.items()}
        gain = selection.extrapolate(curve)
        return {
            "study": "compare",
            "data": self.data.name,
            "protocol": self.protocol.describe(),
            "verdict": selection.verdict(self.table),
            "methods": [self._row(standing) for standing in self.table],
            "shots": curve,
            "fifty_more": {"points": gain[0], "exponent": gain[1]} if gain else None,
            "wrong_under_every_method": [
                {"image": index, "part": part, "answer": self.data.classes[answer]}
                for index, part, answer in self.hard
            ],
            "command": self.command,
            **({"model": dict(self.model)} if self.model else {}),
            "figures": list(self.figures),
        }

    def text(self) -> str:
        """Return the table, the verdict and what follows from it, for people."""
        comparison = read(self.document())
        lines = [*aligned(columns(self.table, self.costs)), "", comparison.verdict]
        lines += [*comparison.consequences(), *comparison.use()]
        return "\n".join([*lines, f"pictures: {', '.join(self.figures)}"])

    def plot(self, folder: Path, splits: Splits) -> list[str]:
        """Plot accuracies, the curve of shots, hard images and near-duplicates; return the files' paths.

        Parameters
        ----------
        folder
            Where the pictures are written.
        splits
            The images, in the size to show them in.
        """
        from matplotlib import rc_context

        from fewshot.report.plots import Compared, figures, write_plot
        from fewshot.report.plots.sheet import sheet
        from fewshot.report.plots.shots import plot_shots
        from fewshot.stats.comparison import analyse, summary

        records = {row.method: list(self.records[row.method].values()) for row in self.table}
        title = f"{self.data.name}: every method on the same draws"
        paths = write_plot(
            "accuracy", Compared(analyse(records, self.winner), self.winner, title), folder / "accuracy"
        )
        if len(self.points) > 1:
            curve = {shots: summary(accuracies) for shots, accuracies in self.points.items()}
            with rc_context(figures.STYLE):
                paths += figures.write(plot_shots({self.winner: curve}), folder / "shots")
        if rows := [_questioned(splits, *image) for image in self.hard[:SHOWN]]:
            paths += sheet(rows, folder / "hard", "Wrong under every method: given label, and the answer")
        if rows := [_pair(splits.train, group) for group in self.repeated[:SHOWN]]:
            paths += sheet(rows, folder / "duplicates", "Near-duplicates")
        return [str(path) for path in paths]

    def _row(self, standing: selection.Standing) -> dict:
        return {
            "method": standing.method,
            "draws": standing.draws,
            "stopped": standing.stopped,
            "accuracy": asdict(standing.accuracy),
            "to_winner": asdict(standing.to_winner) if standing.to_winner else None,
            "seconds": self.costs[standing.method],
        }


def _questioned(splits: Splits, index: int, part: str, answer: int):
    images = splits.parts[part]
    label = f"{images.classes[images.y[index]]}, not {images.classes[answer]}?"
    return label, [("", np.asarray(images.x[index]))]


def _pair(images: Dataset, group: np.ndarray):
    return images.classes[images.y[group[0]]], [("", np.asarray(images.x[index])) for index in group[:2]]
