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
from fewshot.wording import by_reason, plural

SIDE_BY_SIDE = (
    "The winner's number is corrected for having been chosen; beside it stands by how many points another is "
    "better (+) or worse (-) on the photos that both were asked about, not corrected."
)
READING = (
    "Every strategy was trained on the same parts of the photos, one after the other, and asked about the "
    "rest, which it had not seen: how often, about how many photos, and how many seconds each training took. "
    "{counted}; the 95 % interval is for new photos."
)
COUNTED = {
    "alike": "Each class counts as much as any other, however many photos it has (balanced accuracy)",
    "natural": "Classes count as often as they come (accuracy)",
}
SHEETS = {  # the pictures, by their names, beside the galleries of what is suspicious
    "shots": "How many of 100 are right, by photos of each class",
    "right": "Right answers with the highest probability: typical photos",
    "unsure": "Answers with the lowest probability",
    "wrong": "Wrong answers, highest probability first: hard photos, or ones with a wrong label",
}
STANDINGS = {  # as documents say it → as people read it
    "winner": "use this",
    "worse": "worse",
    "alike": "about as good",
    "ahead": "ahead so far",
    "unclear": "too early to say",
}


@dataclass(frozen=True)
class Row:
    """A strategy in the table.

    draws: how many were run. photos: how many images were held out at least once. standing: one of
    `STANDINGS`. seconds: of a trial, the median. what: what it is, in a few words; "" where nothing is known.
    """

    method: str
    stage: str
    draws: int
    photos: int
    accuracy: Estimate | None
    to_winner: Estimate | None
    standing: str
    seconds: float
    what: str = ""


@dataclass(frozen=True)
class Comparison:
    """A comparison as its document tells of it.

    verdict: sentences. classes: name → how many images it has. left_out: strategy → why. curve: training
    images a class → the winner's accuracy with so few. ahead: the same with more than there are, as the curve
    is carried on. recall: class → how many of its new photos will be right.
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
    curve: Mapping[int, Estimate]
    model: Mapping[str, str] | None
    figures: frozenset[str]
    command: str
    evidence: Evidence = field(default_factory=Evidence)
    data_notes: tuple[str, ...] = ()
    contents: frozenset[str] = frozenset()
    ahead: Mapping[int, Estimate] = field(default_factory=dict)

    @property
    def winner(self) -> str:
        """The name of the method to use; nothing where none can be named."""
        return next((row.method for row in self.table if row.standing == "winner"), "")

    @property
    def tasks(self) -> str:
        """How the draws are made, in a line."""
        if self.protocol["name"] != "folds":
            return tasks(self.protocol)
        photos = plural(sum(self.classes.values()), "photo")
        return (
            f"{plural(len(self.classes), 'class', 'classes')}, {photos}; each was held out in turn: asked of "
            "models that were not trained on it"
        )

    @property
    def expected(self) -> Estimate | None:
        """The winner's accuracy on new photos, corrected for having been chosen."""
        return next((row.accuracy for row in self.table if row.standing == "winner"), None)

    def owns(self, record: Record) -> bool:
        """Say whether a trial is one of the comparison's, its curve of shots included."""
        return self.is_of_photos(record) and record.method in {row.method for row in self.table}

    def is_of_photos(self, record: Record) -> bool:
        """Say whether a trial is of these very photos."""
        same = not self.contents or record.protocol.get("content") in self.contents
        return same and record.protocol.get("data") == self.protocol.get("data")

    def drew(self, record: Record) -> bool:
        """Say whether a trial's task was drawn by the comparison's rule: its curve's have fewer shots."""
        shared = (self.protocol.keys() & record.protocol.keys()) - {"data"}
        return all(self.protocol[name] == record.protocol[name] for name in shared)

    def notes(self) -> list[str]:
        """Return what was left out, a sentence for each reason."""
        return by_reason(self.left_out, "{names}: {why}.")

    @property
    def corrected(self) -> bool:
        """Whether what is promised is corrected for training on all photos: of folds, by the curve."""
        return self.protocol["name"] == "folds" and bool(self.ahead)

    def reading(self) -> str:
        """Return how the table is read."""
        prior = "natural" if self.protocol.get("prior") == "natural" else "alike"
        told = READING.format(counted=COUNTED[prior])
        return f"{told} {SIDE_BY_SIDE}" if any(row.to_winner for row in self.table) else told

    def use(self) -> list[str]:
        """Return where the model is, and the commands that use it; nothing where none was saved."""
        if not self.model:
            return []
        path, card, method = (self.model[name] for name in ("path", "card", "method"))
        instead = f"; {self.winner} is not saved" if self.winner not in ("", method) else ""
        return [
            f"model: {path} ({method}, trained on all photos{instead})",
            f"what to expect of it, and how it was made: {card}",
            f"use it: fewshot predict {shlex.quote(path)} PHOTOS…",
            f"try it in the browser: fewshot try {shlex.quote(path)}",
        ]


def columns(table: Sequence[Row]) -> list[list[str]]:
    """Return the columns of the table, each as its heading followed by one cell a strategy."""
    cells = {
        "strategy": lambda row: row.method,
        "in short": lambda row: STANDINGS[row.standing],
        "right of 100": lambda row: f"{row.accuracy.value:.1f}" if row.accuracy else NONE,
        "95 % interval": lambda row: _bounds(row.accuracy, ".1f"),
        "beside the winner": _difference,
        "trained": lambda row: plural(row.draws, "time"),
        "photos": lambda row: f"{row.photos:,}",
        "s each": lambda row: f"{row.seconds:.1f}",
    }
    return [[heading, *map(cell, table)] for heading, cell in cells.items()]


def explained(table: Sequence[Row]) -> list[str]:
    """Return what the strategies are, a line each; nothing of those of which nothing is known."""
    width = max((len(row.method) for row in table), default=0)
    return [f"{row.method:{width}}  {row.what}" for row in table if row.what]


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
        "shots": {shots: asdict(estimate) for shots, estimate in compared.curve.items()},
        "more_shots": {shots: asdict(estimate) for shots, estimate in compared.ahead.items()},
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
        curve={int(shots): _point(value) for shots, value in dict(document["shots"]).items()},
        model={name: text(model[name]) for name in ("path", "card", "method")} if model else None,
        figures=frozenset(Path(text(path)).name for path in entries(document["figures"])),
        command=text(document["command"]),
        evidence=evidence.read(document, len(document["classes"])),
        contents=frozenset(map(text, entries(document.get("contents", [])))),
        data_notes=tuple(map(text, entries(document.get("data_notes", [])))),
        ahead={int(shots): estimate(value) for shots, value in dict(document.get("more_shots", {})).items()},
    )


def _point(value: object) -> Estimate:
    """Return a point of the curve; older documents have the mean alone."""
    return estimate(value) if isinstance(value, Mapping) else Estimate(number(value), 0, None)


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
        what=text(row.get("what", "")),
    )
