"""What a comparison of strategies found, from its document: the verdict, the others beside it, the model.

The document is a file like any other: what is not as it should be is a ValueError, TypeError or KeyError.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fewshot.report import evidence
from fewshot.report.evidence import Evidence
from fewshot.report.names import tasks
from fewshot.report.table import NONE, TOO_FEW
from fewshot.report.typed import entries, estimate, number, text
from fewshot.stats.intervals import Estimate
from fewshot.trials.record import Record

SIDE_BY_SIDE = (
    "The winner's accuracy is corrected for having been chosen; Δ is the difference to it, uncorrected, on "
    "the photos that both were asked about."
)
READING = (
    "Every strategy was trained on the same draws and asked about photos that it had not seen. Accuracies "
    "are balanced (the mean over the classes), with a 95 % interval for new photos like these. "
    f"{SIDE_BY_SIDE}"
)
SHEETS = {  # the pictures, by their names, beside the galleries of what is suspicious
    "shots": "Accuracy against training photos a class",
    "right": "Typical photos, right and sure",
    "unsure": "Photos on which the winner is least sure",
    "wrong": "Wrong, the surest first: hard photos, or ones with a wrong label",
}
STANDINGS = ("winner", "worse", "alike", "ahead", "unclear")


@dataclass(frozen=True)
class Row:
    """A strategy in the table.

    draws: how many were run. photos: how many images were held out at least once. standing: one of
    `STANDINGS`. seconds: of a trial, the median.
    """

    method: str
    stage: str
    draws: int
    photos: int
    accuracy: Estimate | None
    to_winner: Estimate | None
    standing: str
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """A comparison as its document tells of it.

    verdict: sentences. classes: name → how many images it has. left_out: strategy → why. curve: training
    images a class → the winner's mean accuracy. recall: class → how many of its new photos will be right.
    model: "path", "card" and "method" of what was saved. figures: the names of the files that were drawn.
    evidence: what the verdict rests on. data_notes: what is to be known of the photos: which were left out
    and why, how they were read. contents: fingerprints of the images, in all sizes; older documents have
    none, and are known by the name of the data alone.
    """

    verdict: tuple[str, ...]
    source: str
    classes: Mapping[str, int]
    protocol: Mapping[str, object]
    table: Sequence[Row]
    left_out: Mapping[str, str]
    recall: Mapping[str, Estimate]
    curve: Mapping[int, float]
    model: Mapping[str, str] | None
    figures: frozenset[str]
    command: str
    evidence: Evidence = field(default_factory=Evidence)
    data_notes: tuple[str, ...] = ()
    contents: frozenset[str] = frozenset()

    @property
    def winner(self) -> str:
        """The name of the method to use; nothing where none can be named."""
        return next((row.method for row in self.table if row.standing == "winner"), "")

    @property
    def tasks(self) -> str:
        """How the draws are made, in a line."""
        return tasks(self.protocol)

    @property
    def expected(self) -> Estimate | None:
        """The winner's accuracy on new photos, corrected for having been chosen."""
        return next((row.accuracy for row in self.table if row.standing == "winner"), None)

    def owns(self, record: Record) -> bool:
        """Say whether a trial is one of the comparison's, its curve of shots included."""
        methods, protocol = {row.method for row in self.table}, record.protocol
        same = not self.contents or protocol.get("content") in self.contents
        return same and record.method in methods and protocol.get("data") == self.protocol.get("data")

    def notes(self) -> list[str]:
        """Return what was left out, a sentence each."""
        return [f"{method}: {why}." for method, why in self.left_out.items()]

    def use(self) -> list[str]:
        """Return where the model is, and the commands that use it; nothing where none was saved."""
        if not self.model:
            return []
        path, card, method = (self.model[name] for name in ("path", "card", "method"))
        instead = f"; {self.winner} is not saved" if self.winner not in ("", method) else ""
        return [
            f"model: {path} ({method}, trained on all images{instead}), {card}",
            f"use it: fewshot predict {shlex.quote(path)} PHOTOS…",
            f"try it in the browser: fewshot try {shlex.quote(path)}",
        ]


def columns(table: Sequence[Row]) -> list[list[str]]:
    """Return the columns of the table, each as its heading followed by one cell a strategy."""
    cells = {
        "method": lambda row: row.method,
        "draws": lambda row: str(row.draws),
        "photos": lambda row: f"{row.photos:,}",
        "accuracy": lambda row: f"{row.accuracy.value:.1f}" if row.accuracy else NONE,
        "95 % interval": lambda row: _bounds(row.accuracy, ".1f"),
        "Δ to the winner": _difference,
        "standing": lambda row: row.standing,
        "s/draw": lambda row: f"{row.seconds:.1f}",
    }
    return [[heading, *map(cell, table)] for heading, cell in cells.items()]


def _bounds(estimate: Estimate | None, form: str) -> str:
    if estimate is None or estimate.interval is None:
        return NONE
    low, high = estimate.interval
    return f"[{low:{form}}, {high:{form}}]"


def _difference(row: Row) -> str:
    if row.to_winner is None:
        return NONE
    bounds = _bounds(row.to_winner, "+.1f")
    return f"{row.to_winner.value:+.1f} {bounds if row.to_winner.interval else f'({TOO_FEW})'}"


def document(compared: Comparison) -> dict:
    """Return the document, without the evidence."""
    return {
        "study": "compare",
        "data": compared.protocol["data"],
        "source": compared.source,
        "contents": sorted(compared.contents),
        "classes": dict(compared.classes),
        "protocol": {key: value for key, value in compared.protocol.items() if key != "data"},
        "verdict": list(compared.verdict),
        "winner": compared.winner,
        "methods": [asdict(row) for row in compared.table],
        "left_out": dict(compared.left_out),
        "recall": {name: asdict(estimate) for name, estimate in compared.recall.items()},
        "shots": dict(compared.curve),
        "command": compared.command,
        "data_notes": list(compared.data_notes),
        **({"model": dict(compared.model)} if compared.model else {}),
        "figures": sorted(compared.figures),
    }


def read(document: Mapping) -> Comparison:
    """Return the comparison that a document describes."""
    if document["study"] != "compare":
        raise ValueError("no comparison")
    protocol = {**document["protocol"], "data": text(document["data"])}
    tasks(protocol)  # raises for what is none
    model = document.get("model")
    return Comparison(
        verdict=tuple(map(text, entries(document["verdict"]))),
        source=text(document["source"]),
        classes={text(name): int(count) for name, count in dict(document["classes"]).items()},
        protocol=protocol,
        table=[_row(row) for row in entries(document["methods"])],
        left_out={text(name): text(why) for name, why in dict(document["left_out"]).items()},
        recall={text(name): estimate(value) for name, value in dict(document["recall"]).items()},
        curve={int(shots): number(mean) for shots, mean in dict(document["shots"]).items()},
        model={name: text(model[name]) for name in ("path", "card", "method")} if model else None,
        figures=frozenset(Path(text(path)).name for path in entries(document["figures"])),
        command=text(document["command"]),
        evidence=evidence.read(document, len(document["classes"])),
        contents=frozenset(map(text, entries(document.get("contents", [])))),
        data_notes=tuple(map(text, entries(document.get("data_notes", [])))),
    )


def _row(row: Mapping) -> Row:
    if row["standing"] not in STANDINGS:
        raise ValueError(f"no standing: {row['standing']!r}")
    return Row(
        method=text(row["method"]),
        stage=text(row["stage"]),
        draws=int(row["draws"]),
        photos=int(row["photos"]),
        accuracy=None if row["accuracy"] is None else estimate(row["accuracy"]),
        to_winner=None if row["to_winner"] is None else estimate(row["to_winner"]),
        standing=row["standing"],
        seconds=number(row["seconds"]),
    )
