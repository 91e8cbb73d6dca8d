"""What a results folder holds: comparisons, records as groups that may be compared, and other pictures.

A study writes what it compared, in which order and with which baseline, to NAME/result.json: that is one
group. A study's next command writes a new document; the records that stand in none any more are grouped
by their conditions: all methods on the same tasks, with as many threads, on the same device.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fewshot.data.protocols import TUNING
from fewshot.errors import FewshotError, UsageError
from fewshot.errors import field as named
from fewshot.report import comparison, kept_table
from fewshot.report.comparison import Comparison
from fewshot.report.kept_table import KeptTable
from fewshot.report.names import tasks
from fewshot.report.table import NONE
from fewshot.stats.comparison import MethodResult, analyse
from fewshot.trials.record import Record
from fewshot.trials.store import Store, read
from fewshot.wording import plural

USUAL = ("baseline", "none")  # what studies compare with
LISTED = 3  # settings named in a label
COMPARED, DOCUMENT = "compare", "comparison.json"  # the folder of all comparisons, and each one's document
UNFIT = (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError)  # a document that is none


@dataclass(frozen=True)
class Group:
    """Methods on the same tasks. `study` and `command` are empty where no document tells of them.

    plots: the names of the pictures that show them (`fewshot.report.plots`). name: the folder of the document
    in that of the results. reported: method → what was published of it.
    """

    study: str
    command: str
    baseline: str
    results: list[MethodResult]
    plots: tuple[str, ...] = ("accuracy", "curves")
    name: str = ""
    reported: Mapping[str, str] = field(default_factory=dict)

    @property
    def records(self) -> list[Record]:
        """All records, failed ones, too."""
        return [record for result in self.results for record in result.records]

    @property
    def protocol(self) -> dict:
        """What the tasks' rule says of itself, with the name of the data."""
        return self.records[0].protocol

    @property
    def tuning(self) -> bool:
        """Whether the tasks are for choosing, not for reporting."""
        return self.records[0].seed >= TUNING

    @property
    def title(self) -> str:
        """The study's name, or which records these are."""
        name = self.study or f"other trials, {self.protocol['name']}"
        return name + (", tuning tasks" if self.tuning else "")

    @property
    def tasks(self) -> str:
        """The protocol in a line: "cifar10, testbed: 2 classes × 50 images"."""
        return tasks(self.protocol)


@dataclass(frozen=True)
class Found:
    """A comparison of strategies for one folder of photos, and where it is kept.

    records: its trials, of which no group tells. sheets: its pictures. earlier: trials of the same photos by
    strategies that its verdict does not count: an earlier run's, that the last one left out.
    """

    folder: Path
    told: Comparison
    records: list[Record]
    sheets: list[Path]
    earlier: list[Record] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What it is a comparison of."""
        return f"{COMPARED}: {self.folder.name}"

    def earlier_columns(self) -> list[list[str]]:
        """Return the columns of a table of the earlier strategies, the one with the highest mean first."""
        rows = []
        for method, records in labelled(self._on_same_draws()).items():
            accuracies = [r.balanced_accuracy for r in records if r.ok and r.balanced_accuracy is not None]
            mean = float(np.mean(accuracies)) if accuracies else None
            trained = plural(sum(record.ok for record in records), "time")
            told = NONE if mean is None else f"{mean:.1f}"
            rows.append((-(mean or 0.0), [method, trained, told, days(records)]))
        heads = ["strategy", "trained", "right of 100, mean", "on"]
        return [list(column) for column in zip(heads, *(row for _, row in sorted(rows)), strict=True)]

    def earlier_told(self) -> str:
        """Return in sentences what the earlier strategies are."""
        return (
            f"Trained on these photos on {days(self._on_same_draws())} by a run before the last one, "
            "which left them out: nothing above counts them. Their numbers are plain means, not corrected. "
            "Run the command with them again, and they are compared from these records, not trained anew."
        )

    def _on_same_draws(self) -> list[Record]:
        return [record for record in self.earlier if self.told.drew(record)]


@dataclass(frozen=True)
class Results:
    """A results folder as read.

    comparisons: what each comparison of strategies found. tables: of commands that measure otherwise than by
    trials. pictures: those of no comparison and no group. notes: what was left out, a sentence each.
    """

    store: Store
    comparisons: list[Found]
    groups: list[Group]
    tables: list[KeptTable]
    pictures: list[Path]
    notes: list[str]


def gather(folder: Path) -> Results:
    """Read a results folder; `UsageError` where there is none, `FewshotError` where it has no record."""
    if not folder.is_dir():
        raise UsageError(
            f"no such directory: {folder}; give the one that studies wrote to (default: results)"
        )
    store = Store(folder)
    try:
        recorded, odd = read(store.path)
    except OSError as error:
        raise FewshotError(f"cannot read {store.path} ({error.strerror})") from error
    records, left_out = list(recorded.values()), len(odd)
    tables, no_tables = _tables(folder)
    if not records and not tables:
        if left_out:
            raise FewshotError(
                f"{store.path}: no record among its {plural(left_out, 'line')} is of this version: "
                f"run the studies again with another {named('out')}, or make the report with the version "
                "that wrote them"
            )
        raise FewshotError(f"no records in {folder}: run a study first, with {named('out', folder)}")
    notes = []
    if left_out:
        notes.append(f"left out of trials.jsonl: {plural(left_out, 'line')}, torn or of another version.")
    inner = sorted(path.parent for path in folder.glob("*/trials.jsonl"))
    inner = [path for path in inner if not (path / kept_table.NAME).exists()]  # whose table tells of them
    notes += [f"{path.name}/ holds records of its own and wants a report of its own." for path in inner]
    documents, troubles = _documents(folder, inner)
    studied, more = _studied(documents, records)
    pictures = _pictures(folder, inner)
    named_by_study = {record.key for group in studied for record in group.records}
    comparisons, unreadable = _comparisons(folder, records, pictures, named_by_study)
    theirs = {record.key for found in comparisons for record in (*found.records, *found.earlier)}
    left = _left(records, studied, theirs)
    studied.sort(key=lambda group: (group.tuning, group.study))
    places = {comparison.folder for comparison in comparisons}
    others = [path for path in pictures if places.isdisjoint(path.parents)]
    notes += troubles + unreadable + no_tables + more
    return Results(store, comparisons, studied + left, tables, others, notes)


def _tables(folder: Path) -> tuple[list[KeptTable], list[str]]:
    """Return the tables of commands that measure otherwise than by trials, and what is none."""
    tables, troubles = [], []
    for path in sorted(folder.glob(f"*/{kept_table.NAME}")):
        try:
            tables.append(kept_table.read(path))
        except UNFIT:
            troubles.append(f"{path.relative_to(folder).as_posix()} is no table: left out.")
    return tables, troubles


def _documents(folder: Path, inner: list[Path]) -> tuple[list[tuple[str, dict]], list[str]]:
    """Return the studies' documents with their paths, and what could not be read."""
    documents, troubles = [], []
    for path in sorted([*folder.glob("*/result.json"), *folder.glob("*/*/result.json")]):
        if any(other in path.parents for other in inner):
            continue
        name = path.relative_to(folder).as_posix()
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            shape = (document["study"], document["baseline"], dict(document["protocol"]))
            rows = [(row["method"], list(map(dict, row["trials"]))) for row in document["methods"]]
        except UNFIT:
            troubles.append(f"{name} is no document of a study: left out.")
        else:
            if all(isinstance(text, str) for text in (*shape[:2], *(method for method, _ in rows))):
                documents.append((name, document))
    return documents, troubles


def _studied(documents: list[tuple[str, dict]], records: list[Record]) -> tuple[list[Group], list[str]]:
    """Return the group of every document: its methods, each with the records of its trials, found by key."""
    by_key = {record.key: record for record in records}
    groups, notes = [], []
    for name, document in documents:
        keys = {row["method"]: [trial.get("key") for trial in row["trials"]] for row in document["methods"]}
        everything = [key for of_method in keys.values() for key in of_method]
        if not all(isinstance(key, str) for key in everything):
            notes.append(
                f"{name} comes from an older version, which kept no keys: its trials are shown among the "
                "further records; the study's command writes it anew."
            )
            continue
        if missing := sum(key not in by_key for key in everything):
            notes.append(f"left out: {plural(missing, 'trial')} of {name}, not in the records.")
        by_method = {
            method: [by_key[key] for key in of_method if key in by_key] for method, of_method in keys.items()
        }
        by_method = {method: recorded for method, recorded in by_method.items() if recorded}
        baseline, command = document["baseline"], document.get("command")
        if baseline not in by_method:
            continue
        balanced = any("balanced_accuracy" in t for row in document["methods"] for t in row["trials"])
        results = analyse(by_method, baseline, "balanced_accuracy" if balanced else "accuracy")
        known, unknown = _plots(document)
        notes += [f"{name} names an unknown plot, '{plot}': left out." for plot in unknown]
        command = command if isinstance(command, str) else ""
        place = name.rpartition("/")[0]
        groups.append(Group(document["study"], command, baseline, results, known, place, _reported(document)))
    return groups, notes


def _reported(document: dict) -> dict[str, str]:
    """Return method → what was published of it, as a document says it."""
    reported = document.get("reported")
    pairs = reported.items() if isinstance(reported, dict) else ()
    return {method: text for method, text in pairs if isinstance(text, str)}


def _plots(document: dict) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of a document's plots: those that are registered here, and the others."""
    from fewshot.report.plots import USUAL, plots

    names = document.get("plots")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return USUAL, []
    return tuple(name for name in names if name in plots), [name for name in names if name not in plots]


def _comparisons(
    folder: Path, records: list[Record], pictures: list[Path], studied: Collection[str]
) -> tuple[list[Found], list[str]]:
    """Return what the comparisons of strategies found, one a folder of photos, and what is unreadable.

    studied: keys of the trials that studies tell of.
    """
    comparisons, troubles = [], []
    free = [record for record in records if record.key not in studied]
    for path in sorted(folder.glob(f"{COMPARED}/*/{DOCUMENT}")):
        try:
            told = comparison.read(json.loads(path.read_text(encoding="utf-8")))
        except UNFIT:
            name = path.relative_to(folder).as_posix()
            troubles.append(f"{name} is no document of a comparison: left out.")
            continue
        # An older run's pictures may lie beside those that were drawn last.
        drawn = [p for p in pictures if p.parent == path.parent and p.name in told.figures]
        own = [record for record in records if told.owns(record)]
        comparisons.append(Found(path.parent, told, own, drawn, _earlier(told, free)))
    return comparisons, troubles


def _earlier(told: Comparison, records: list[Record]) -> list[Record]:
    """Return the trials of a comparison's photos by strategies that were once compared on the same draws."""
    others = [record for record in records if told.is_of_photos(record) and not told.owns(record)]
    methods = {record.method for record in others if told.drew(record)}
    return [record for record in others if record.method in methods]


def days(records: Iterable[Record]) -> str:
    """Return on which days trials were run: "2026-11-28", or the first and the last."""
    dates = sorted({record.date[:10] for record in records} - {""})
    return " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else NONE


def _left(records: list[Record], studied: list[Group], compared: set[str]) -> list[Group]:
    """Return the records of no study and no comparison as groups, each with a baseline on the same tasks."""
    used = {record.key for group in studied for record in group.records} | compared
    usual = dict.fromkeys([*(group.baseline for group in studied), *USUAL])
    alike = defaultdict(list)
    for record in records:
        conditions = [record.protocol, record.threads, record.device, record.seed >= TUNING]
        alike[json.dumps(conditions, sort_keys=True)].append(record)
    groups = []
    for members in alike.values():
        by_method = labelled(members)
        new = [name for name, recorded in by_method.items() if any(r.key not in used for r in recorded)]
        if not new:
            continue
        # Of several with a usual name, or if none has one of all: the method with the most tasks.
        named = [[m for m in by_method if by_method[m][0].method == name] for name in usual]
        candidates = next((methods for methods in named if methods), new)
        baseline = max(candidates, key=lambda method: len(by_method[method]))
        shown = {name: by_method[name] for name in dict.fromkeys([baseline, *new])}
        metric = "accuracy" if members[0].protocol.get("balanced", True) else "balanced_accuracy"
        groups.append(Group("", "", baseline, analyse(shown, baseline, metric)))
    return sorted(groups, key=lambda group: group.tuning)


def labelled(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return records by method, seed by seed; one that was configured in several ways has several labels.

    "flip" in 5 epochs and in 100 becomes "flip (epochs 5)" and "flip (epochs 100)".
    """
    ways = defaultdict(lambda: defaultdict(list))
    for record in records:
        learner = json.dumps(record.learner, sort_keys=True)
        ways[record.method][learner].append(record)
    labels = {}
    for method, by_learner in ways.items():
        settings = [_flat(json.loads(learner)) for learner in by_learner]
        for learner_settings, members in zip(settings, by_learner.values(), strict=True):
            differ = [
                f"{key.rpartition('.')[2]} {value}"
                for key, value in sorted(learner_settings.items())
                if any(other.get(key) != value for other in settings)
            ]
            label = method
            if len(settings) > 1:
                label += f" ({', '.join(differ[:LISTED])}{', …' * (len(differ) > LISTED)})"
            while label in labels:
                label += "′"
            labels[label] = sorted(members, key=lambda record: record.seed)
    return labels


def _flat(value: object, name: str = "") -> dict[str, object]:
    """Return nested settings as one level, their names joined by dots."""
    if not isinstance(value, dict):
        return {name: value}
    return {key: leaf for k, v in value.items() for key, leaf in _flat(v, f"{name}.{k}").items()}


def _pictures(folder: Path, inner: list[Path]) -> list[Path]:
    """Return sheets, heat maps and the like: what is drawn, but not of a group."""
    from fewshot.report.plots import plots

    return [
        path
        for path in sorted(folder.glob("*/**/*.png"))
        if not any(other in path.parents for other in inner)
        and not (path.stem in plots and path.with_name("result.json").exists())
    ]
