"""What a comparison found: as JSON, in words, and in pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fewshot.compare.tournament import Comparison
from fewshot.data import Prepared, Splits
from fewshot.data.protocols import Protocol
from fewshot.report.comparison import read
from fewshot.stats import selection
from fewshot.trials.store import Store

SHOWN = 24  # images on a sheet


@dataclass(frozen=True)
class Findings:
    """The end of a comparison.

    table: the methods, the winner first. points: its accuracies, shots → one a draw. hard: the images that
    every method gets wrong, as `fewshot.compare.tournament.hard_images` returns them. repeated: the groups of
    near-duplicates that were kept on one side.
    """

    comparison: Comparison
    table: Sequence[selection.Standing]
    points: Mapping[int, Sequence[float]]
    hard: Sequence[tuple[int, str, int]]
    repeated: Sequence[np.ndarray]
    data: Prepared
    protocol: Protocol
    store: Store

    @property
    def winner(self) -> str:
        """The name of the method to use."""
        return self.table[0].method

    def document(self) -> dict:
        """Return all that was found, ready for JSON."""
        curve = {shots: float(np.mean(found)) for shots, found in self.points.items()}
        gain = selection.more(curve)
        return {
            "study": "compare",
            "data": self.data.name,
            "protocol": self.protocol.describe(),
            "verdict": selection.verdict(self.table),
            "methods": [self._row(row) for row in self.table],
            "shots": curve,
            "fifty_more": {"points": gain[0], "exponent": gain[1]} if gain else None,
            "wrong_under_every_method": [
                {"image": index, "part": part, "answer": self.data.classes[answer]}
                for index, part, answer in self.hard
            ],
        }

    def text(self, document: dict) -> str:
        """Return the end of the story, for people."""
        found = read(document)
        lines = [*self.comparison.leaderboard(), "", found.verdict, *found.consequences(), *found.use()]
        return "\n".join([*lines, f"pictures: {', '.join(document['figures'])}"])

    def temperature(self, method: str) -> float:
        """Return the temperature that calibrates a method, fitted to its predictions on all draws."""
        from fewshot.stats.calibration import fit_temperature

        found = []
        for record in self.comparison.records[method].values():
            path = self.store.predictions_path(record.key)
            if record.ok and path.exists():
                with np.load(path, allow_pickle=False) as file:
                    found.append((file["probabilities"], file["labels"]))
        probabilities, labels = (np.concatenate(part) for part in zip(*found, strict=True))
        return fit_temperature(probabilities, labels)

    def draw(self, folder: Path, splits: Splits) -> list[str]:
        """Draw the strip plot, the curve of shots, hard images and near-duplicates; return the paths.

        splits: the images, in the size to show them in.
        """
        from matplotlib import rc_context

        from fewshot.report.plots import figures
        from fewshot.report.plots.sheet import sheet
        from fewshot.report.plots.shots import figure
        from fewshot.stats.comparison import analyse, summary

        records = {row.method: list(self.comparison.records[row.method].values()) for row in self.table}
        title = f"{self.data.name}: every method on the same draws"
        paths = figures.strip(analyse(records, self.winner), self.winner, folder / "accuracy", title)
        if len(self.points) > 1:
            curve = {shots: summary(found) for shots, found in self.points.items()}
            with rc_context(figures.STYLE):
                paths += figures.write(figure({self.winner: curve}), folder / "shots")
        if rows := [self._asked(splits, *found) for found in self.hard[:SHOWN]]:
            paths += sheet(rows, folder / "hard", "Wrong under every method: given label, and the answer")
        if rows := [_pair(splits.train, group) for group in self.repeated[:SHOWN]]:
            paths += sheet(rows, folder / "duplicates", "Near-duplicates")
        return [str(path) for path in paths]

    def _row(self, row: selection.Standing) -> dict:
        return {
            "method": row.method,
            "draws": row.draws,
            "stopped": row.stopped,
            "accuracy": asdict(row.accuracy),
            "to_winner": asdict(row.to_winner) if row.to_winner else None,
            "seconds": self.comparison.costs[row.method],
        }

    def _asked(self, splits: Splits, index: int, part: str, answer: int):
        images = splits.parts[part]
        label = f"{images.classes[images.y[index]]}, not {images.classes[answer]}?"
        return label, [("", np.asarray(images.x[index]))]


def _pair(images, group):
    return images.classes[images.y[group[0]]], [("", np.asarray(images.x[index])) for index in group[:2]]
