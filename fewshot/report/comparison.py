"""What a comparison of strategies found, from its document: whom to use, the others beside it, what follows.

The document is a file like any other: what is not as it should be is a ValueError, TypeError or KeyError.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fewshot.report.names import tasks
from fewshot.report.table import NONE, difference, interval, mean_std, p_value
from fewshot.stats.comparison import Paired, Summary
from fewshot.stats.selection import Standing
from fewshot.trials.record import Record
from fewshot.wording import plural

READING = (
    "Odd draws choose the winner and who is stopped, even draws give the accuracies, so that luck in the "
    "choice does not flatter it. Δ is the mean paired difference to the winner with its 95 % interval, p a "
    "two-sided Wilcoxon signed-rank test, not corrected for the number of methods; who was stopped has none. "
    "Draws from one folder hold out the same images again and again: intervals are as much wider, and p is "
    "that of the corrected resampled t test."
)
SHEETS = {  # the pictures, by their names
    "accuracy": "Accuracy of every method on each draw, joined by draw",
    "shots": "The winner's accuracy against training images a class, mean and 95 % interval",
    "hard": "Wrong under every method: the given label, and the answer",
    "duplicates": "Near-duplicates, kept on one side of every draw",
}
DRAWN = ("data", "name", "ways", "classes", "balanced", "version")  # what draws have in common, shots apart


@dataclass(frozen=True)
class Comparison:
    """A comparison as its document tells of it.

    table: the methods, the winner first. seconds: a method's name → those of a trial. curve: training
    images a class → the winner's mean accuracy. further: points that another 50 images a class would
    bring. wrong: how many images every method gets wrong. model: "path", "card" and "method" of what was
    saved. figures: the names of the files that were drawn.
    """

    verdict: str
    protocol: Mapping[str, object]
    table: Sequence[Standing]
    seconds: Mapping[str, float]
    curve: Mapping[int, float]
    further: float | None
    wrong: int
    model: Mapping[str, str] | None
    figures: frozenset[str]
    command: str

    @property
    def winner(self) -> str:
        """The name of the method to use."""
        return self.table[0].method

    @property
    def tasks(self) -> str:
        """How the draws are made, in a line."""
        return tasks(self.protocol)

    def owns(self, record: Record) -> bool:
        """Say whether a trial is one of the comparison's, its curve of shots included."""
        return record.method in self.seconds and all(
            record.protocol.get(field) == self.protocol.get(field) for field in DRAWN
        )

    def consequences(self) -> list[str]:
        """Return what follows, a sentence each: fewer images, more images, labels to look at."""
        lines = []
        if self.curve:
            points = ", ".join(f"{shots}: {mean:.1f} %" for shots, mean in self.curve.items())
            lines.append(f"{self.winner} by training images a class: {points}.")
        if self.further is not None:
            lines.append(f"Another 50 images a class would bring about {self.further:.1f} points.")
        if self.wrong:
            are = "is" if self.wrong == 1 else "are"
            lines.append(f"{plural(self.wrong, 'image')} {are} wrong under every method: look at the labels.")
        return lines

    def use(self) -> list[str]:
        """Return where the model is, and the command that uses it; nothing where none was saved."""
        if not self.model:
            return []
        path, card, method = (self.model[field] for field in ("path", "card", "method"))
        return [
            f"model: {path} ({method}, trained on all images), {card}",
            f"use it: fewshot predict {shlex.quote(path)} IMAGES…",
        ]


def columns(table: Sequence[Standing], seconds: Mapping[str, float]) -> list[list[str]]:
    """Return the columns of the table, each as its heading followed by one cell a method.

    Accuracies are those of the reporting draws. A method that was stopped has no p: when to stop it was
    decided by looking.
    """
    cells = {
        "method": lambda s: s.method,
        "draws": lambda s: f"stopped after {s.stopped}" if s.stopped else str(s.draws),
        "mean ± std": lambda s: mean_std(s.accuracy),
        "95 % interval": lambda s: interval(s.accuracy.ci95, ".1f"),
        "Δ to the winner": lambda s: difference(s.to_winner),
        "p": lambda s: p_value(s.to_winner.p) if s.to_winner and not s.stopped else NONE,
        "s/trial": lambda s: f"{seconds[s.method]:.1f}",
    }
    return [[heading, *map(cell, table)] for heading, cell in cells.items()]


def read(document: Mapping) -> Comparison:
    """Return the comparison that a document describes."""
    rows = document["methods"]
    if document["study"] != "compare" or not rows:
        raise ValueError("no comparison")
    protocol = {**document["protocol"], "data": _text(document["data"])}
    tasks(protocol)  # raises for what is none
    gain, model = document["fifty_more"], document.get("model")
    compared = Comparison(
        verdict=_text(document["verdict"]),
        protocol=protocol,
        table=[_standing(row) for row in rows],
        seconds={_text(row["method"]): float(row["seconds"]) for row in rows},
        curve={int(shots): float(mean) for shots, mean in dict(document["shots"]).items()},
        further=float(gain["points"]) if gain else None,
        wrong=len(document["wrong_under_every_method"]),
        model={field: _text(model[field]) for field in ("path", "card", "method")} if model else None,
        figures=frozenset(Path(_text(path)).name for path in document["figures"]),
        command=_text(document["command"]),
    )
    columns(compared.table, compared.seconds)  # raises for numbers that are none
    return compared


def _standing(row: Mapping) -> Standing:
    delta, stopped = row["to_winner"], row["stopped"]
    return Standing(
        method=_text(row["method"]),
        draws=int(row["draws"]),
        accuracy=Summary(**_spread(row["accuracy"])),
        to_winner=Paired(**_spread(delta), p=_number(delta["p"]), wins=int(delta["wins"])) if delta else None,
        stopped=None if stopped is None else int(stopped),
    )


def _spread(spread: Mapping) -> dict:
    low, high = spread["ci95"] or (None, None)
    return {
        "n": int(spread["n"]),
        "mean": _number(spread["mean"]),
        "std": _number(spread["std"]),
        "ci95": None if low is None else (float(low), float(high)),
    }


def _number(value: object) -> float | None:
    return None if value is None else float(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return value
