"""Results to keep beside the documentation: one JSON file a table, with what made it.

Tables and pictures of the documentation are drawn from these files alone. A file holds the trials' numbers,
so that means, intervals and p are computed from them again. Tables that are not made of trials, or whose
trials were not kept, are held as their cells.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fewshot
from fewshot.errors import FewshotError
from fewshot.io.digests import key_of
from fewshot.io.files import replacing
from fewshot.machine import processor
from fewshot.report import table
from fewshot.report.conditions import conditions
from fewshot.report.groups import UNFIT, Group
from fewshot.report.kept_table import KeptTable
from fewshot.report.typed import entries, named, text
from fewshot.stats.comparison import MethodResult, Metric, analyse
from fewshot.trials.record import Record, known_fields

FORMAT = 1
ROOT = Path(__file__).parents[2]  # of a checkout; elsewhere no part of one
PLACES = {"out", "cache_dir", "data_dir", "cluster"}  # settings whose values mean nothing elsewhere
ORIGIN = ("date", "fewshot", "commit", "processor", "device", "threads", "python", "libraries", "note")


@dataclass(frozen=True)
class KeptTrial:
    """A trial's numbers, under the names that they have in its record; all that statistics need."""

    seed: int
    classes: tuple[str, ...]
    status: str
    accuracy: float | None
    balanced_accuracy: float | None
    nll: float | None
    n_train: int | None
    updates: int | None
    images_seen: int | None
    parameters: int | None
    seconds: float
    n_test: int | None = None
    n_pool: int | None = None
    reason: str | None = None
    curve: None = None  # is not kept

    @property
    def ok(self) -> bool:
        """Whether the trial succeeded."""
        return self.status == "ok"

    @classmethod
    def of(cls, record: Record) -> KeptTrial:
        """Return what is kept of a record."""
        return cls.from_json(record.to_json())

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> KeptTrial:
        """Return what a JSON object holds; `ValueError` where a field is missing."""
        values = known_fields(cls, content)
        return cls(**{**values, "classes": tuple(values["classes"]), "curve": None})

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes, what is unknown left out where it may be missing."""
        optional = ("n_test", "n_pool", "reason", "curve")
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if value is not None or name not in optional}


@dataclass(frozen=True)
class KeptResult:
    """A table of results, and where it comes from.

    Parameters
    ----------
    study : str
        The command's name.
    about : str
        What was measured, in a line.
    command : str
        The command line that measured it.
    origin : mapping of str to str
        When, by which version and commit, on which machine and with which libraries, as far as that is known
        (the names are `ORIGIN`); "note" for what else a reader has to know, such as that the machine had
        other work to do.
    cells : sequence of columns
        Each its heading and its cells: a table that is not made of trials, or whose trials were not kept.
    baseline, metric : str
        What the trials' methods are compared with, and by which number.
    reported : mapping of str to str
        Method → what was published of it.
    trials : mapping of str to sequence of KeptTrial
        Method → its trials, the baseline's first; empty where there are `cells`.
    """

    study: str
    about: str
    command: str
    origin: Mapping[str, str]
    cells: tuple[tuple[str, ...], ...] = ()
    baseline: str = ""
    metric: Metric = "accuracy"
    reported: Mapping[str, str] = field(default_factory=dict)
    trials: Mapping[str, tuple[KeptTrial, ...]] = field(default_factory=dict)

    @property
    def results(self) -> list[MethodResult[KeptTrial]]:
        """One result a method, computed from the trials; none where only the cells are known."""
        return analyse(self.trials, self.baseline, self.metric) if self.trials else []

    def columns(self) -> list[list[str]]:
        """Return the table: columns, each its heading and its cells, the names first."""
        if not self.trials:
            return [list(column) for column in self.cells]
        return table.columns(self.results, self.baseline, self.reported)

    @property
    def digest(self) -> str:
        """What the numbers are known by: a picture of them carries it."""
        return key_of(self._numbers())[:16]

    def write(self, path: Path) -> None:
        """Write the file, a trial a line; `FewshotError` where that is not possible."""
        try:
            with replacing(path) as temporary:
                temporary.write_text(self._text(), encoding="utf-8")
        except OSError as error:
            raise FewshotError(f"cannot write {path} ({error.strerror})") from error

    def _numbers(self) -> dict[str, Any]:
        if not self.trials:
            return {"columns": [list(column) for column in self.cells]}
        return {
            "baseline": self.baseline,
            "metric": self.metric,
            "reported": dict(self.reported),
            "methods": {name: [trial.to_json() for trial in kept] for name, kept in self.trials.items()},
        }

    def _text(self) -> str:
        head = {
            "format": FORMAT,
            "study": self.study,
            "about": self.about,
            "command": self.command,
            "origin": {name: self.origin[name] for name in ORIGIN if self.origin.get(name)},
        }
        return _laid_out({**head, **self._numbers()}) + "\n"


def _laid_out(value: Any, indent: str = "") -> str:
    """Return JSON in which the innermost objects and lists, a trial or a column, take one line."""
    deeper = indent + " "
    if isinstance(value, Mapping):
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}: {_laid_out(item, deeper)}" for key, item in value.items()
        ]
        brackets = "{}"
    elif isinstance(value, list):
        parts, brackets = [_laid_out(item, deeper) for item in value], "[]"
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    flat = not any(isinstance(item, Mapping) for item in _items(value)) and indent
    if flat and not any(isinstance(item, list) and len(item) > 4 for item in _items(value)):
        return f"{brackets[0]}{', '.join(parts)}{brackets[1]}"
    return f"{brackets[0]}\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}{brackets[1]}"


def _items(value: Any) -> list:
    return list(value.values() if isinstance(value, Mapping) else value)


def of_group(group: Group, note: str = "") -> KeptResult:
    """Return what is kept of a group of trials. note: what else a reader has to know."""
    told = conditions(group)
    machine = {"threads": told["threads a trial"], "python": told["Python"]}
    same = ("fewshot", "processor", "device", "libraries")
    date = max(record.date for record in group.records)[:10]
    return KeptResult(
        study=group.study,
        about=group.tasks + (", tuning tasks" if group.tuning else ""),
        command=told_command(group.command),
        origin={
            "date": date,
            "commit": commit(),
            **machine,
            **{name: told[name] for name in same},
            "note": note,
        },
        baseline=group.baseline,
        metric=group.results[0].metric,
        reported=group.reported,
        trials={r.method: tuple(map(KeptTrial.of, r.records)) for r in group.results},
    )


def of_table(kept: KeptTable, note: str = "") -> KeptResult:
    """Return what is kept of a table that a command printed. note: what else a reader has to know.

    Such a table does not say when and where it was measured: the origin is that of the keeping.
    """
    remarks = " ".join((*kept.notes, *([note] if note else [])))
    origin = {
        "date": datetime.date.today().isoformat(),
        "fewshot": fewshot.__version__,
        "commit": commit(),
        "processor": processor(),
        "python": platform.python_version(),
        "note": remarks,
    }
    return KeptResult(kept.study, kept.about, told_command(kept.command), origin, kept.columns)


def told_command(line: str) -> str:
    """Return a command line as a reader types it: by `fewshot`, without the places of one machine."""
    try:
        words = shlex.split(line)
    except ValueError:
        return line
    if words[:2] == ["python", "-m"] and len(words) > 2:
        module = words[2].removeprefix("experiments").removeprefix(".")
        words = ["fewshot", *module.rstrip("_").replace("_", "-").split("."), *words[3:]]
    local = [word.startswith("--") and word[2:].replace("-", "_") in PLACES for word in words]
    after = [False, *local]  # the values of such options
    return shlex.join(
        word for word, *gone in zip(words, local, after, strict=False) if word and not any(gone)
    )


def commit() -> str:
    """Return the commit of the checkout that this code runs from; nothing where it is none."""
    if not (ROOT / ".git").exists():
        return ""
    line = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--dirty=, changed", "--exclude=*"]
    try:
        return subprocess.run(line, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def read(path: Path) -> KeptResult:
    """Return what a file keeps; `FewshotError` for one that is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError("of another version")
        origin = {text(name): text(value) for name, value in named(content["origin"]).items()}
        head = (*(text(content[name]) for name in ("study", "about", "command")), origin)
        if "columns" in content:
            return KeptResult(*head, cells=_cells(entries(content["columns"])))
        return KeptResult(
            *head,
            baseline=text(content["baseline"]),
            metric=content["metric"],
            reported=named(content["reported"]),
            trials={
                name: tuple(map(KeptTrial.from_json, entries(kept)))
                for name, kept in named(content["methods"]).items()
            },
        )
    except UNFIT as error:
        raise FewshotError(f"{path} keeps no result: {error}") from error


def _cells(columns: Sequence) -> tuple[tuple[str, ...], ...]:
    cells = tuple(tuple(map(text, entries(column))) for column in columns)
    if not cells or len({len(column) for column in cells}) > 1:
        raise ValueError("columns are equally long")
    return cells
