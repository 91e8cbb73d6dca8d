"""What an inspection found: each finding with its file, as JSON, as CSV, in words and in pictures."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TypeAlias

import numpy as np

from fewshot.inspection.shortcuts import Shortcut
from fewshot.io.files import replacing

TOLD = 5  # findings of a kind that the text names; the CSV has all
KINDS = {  # kind → what it is called for several
    "label error": "label errors: the same photo in two classes",  # needs no model, and is the surest
    "wrong label": "labels that may be wrong",
    "in two parts": "near-duplicates of photos in another part",
    "duplicate": "near-duplicates",
    "outlier": "photos unlike all others",
    "flat": "photos of one colour",
    "dark": "dark photos",
    "bright": "bright photos",
    "blurred": "blurred photos",
    "tiny": "tiny photos",
    "oddly shaped": "oddly shaped photos",
}


def sheet_name(kind: str) -> str:
    """Return what the gallery of a kind is called, without its ending."""
    return kind.replace(" ", "-")


@dataclass(frozen=True)
class Finding:
    """One photo and what there is about it.

    Parameters
    ----------
    kind
        One of `KINDS`.
    position
        Of the image.
    file
        Its file; where there are no files, its position in words.
    label
        The given class.
    suggested
        The class that it may be of; empty where the label is not in question.
    suspicion
        How likely it is right, 0 to 1: not the probability of the answer that a model gave.
    why
        In a few words.
    other, other_label
        The file that it repeats, and its class; empty where it repeats none.
    """

    kind: str
    position: int
    file: str
    label: str
    suspicion: float
    why: str
    suggested: str = ""
    other: str = ""
    other_label: str = ""


Picture: TypeAlias = "tuple[np.ndarray, Sequence[str]]"  # as a gallery takes them
COLUMNS = tuple(column.name for column in fields(Finding))


@dataclass(frozen=True)
class Inspection:
    """All findings, in the order of `KINDS` and the surest of a kind first.

    Parameters
    ----------
    findings
        One a photo and kind.
    shortcuts
        What each cue alone tells, warnings and others.
    count
        How many photos were looked at.
    images
        These, in the size to show them in, uint8 (N, height, width, 3).
    files
        Their names, in the same order.
    elsewhere
        Files of other parts that findings name → their pictures.
    """

    findings: tuple[Finding, ...]
    shortcuts: tuple[Shortcut, ...]
    count: int
    images: np.ndarray = field(repr=False, compare=False)
    files: tuple[str, ...] = field(default=(), repr=False)
    elsewhere: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def of(self, kind: str) -> list[Finding]:
        """Return the findings of a kind, the surest first."""
        return [finding for finding in self.findings if finding.kind == kind]

    def document(self) -> dict:
        """Return all that was found, ready for JSON."""
        return {
            "photos": self.count,
            "findings": [
                asdict(finding) | {"suspicion": round(finding.suspicion, 6)} for finding in self.findings
            ],
            "shortcuts": [
                {
                    "cue": shortcut.cue,
                    "balanced_accuracy": round(shortcut.accuracy, 2),
                    "error": round(shortcut.error, 2),
                    "chance": round(shortcut.chance, 2),
                    "model": None if shortcut.model is None else round(shortcut.model, 2),
                    "warning": shortcut.warning,
                }
                for shortcut in self.shortcuts
            ],
        }

    def csv(self, path: str | Path) -> Path:
        """Write a line a finding: a table to act on. Raises `OSError`."""
        path = Path(path)
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for finding in self.findings:
                values = [getattr(finding, name) for name in COLUMNS]
                writer.writerow(f"{value:.3f}" if isinstance(value, float) else value for value in values)
        return path

    def text(self) -> list[str]:
        """Return what was found, for people, line by line; one line where nothing was."""
        lines = []
        counts = Counter(finding.kind for finding in self.findings)
        for kind, words in KINDS.items():
            if not counts[kind]:
                continue
            # Another number than the probability of an answer, which stands beside photos elsewhere.
            means = "; suspicion: how likely the label is wrong" if kind == "wrong label" else ""
            more = f", the first {TOLD}" if counts[kind] > TOLD else ""
            lines.append(f"{words}: {counts[kind]} of {self.count}{more}{means}")
            lines += [f"  {_told(finding)}" for finding in self.of(kind)[:TOLD]]
        lines += [_warned(shortcut) for shortcut in self.shortcuts if shortcut.warning]
        return lines or [f"{self.count} photos looked at: nothing suspicious"]

    def sheets(self, folder: str | Path) -> list[Path]:
        """Draw a gallery for each kind of finding into the folder; return the files' paths.

        Raises `OSError` where they cannot be written.
        """
        from fewshot.report.plots.gallery import gallery

        paths = []
        for kind, words in KINDS.items():
            pictures = [picture for finding in self.of(kind) for picture in self._pictures(finding)]
            if pictures:
                paths += gallery(pictures, Path(folder) / sheet_name(kind), words[0].upper() + words[1:])
        return paths

    def _pictures(self, finding: Finding) -> list[Picture]:
        question = _question(finding)
        lines = [finding.file, question, f"suspicion: {100 * finding.suspicion:.0f} %"]
        pictures: list[Picture] = [(np.asarray(self.images[finding.position]), lines)]
        if finding.other:
            twin = self.elsewhere.get(finding.other)
            if twin is None:
                twin = self.images[self.files.index(finding.other)]
            pictures.append((np.asarray(twin), [finding.other, finding.other_label, "the same photo"]))
        return pictures


def _question(finding: Finding) -> str:
    if finding.other_label and finding.suggested:  # one of the two is wrong, and which is another question
        return f"{finding.label} or {finding.suggested}?"
    return f"{finding.label}, not {finding.suggested}?" if finding.suggested else finding.label


def _told(finding: Finding) -> str:
    return f"{finding.file}: {_question(finding)} ({finding.why}; suspicion {100 * finding.suspicion:.0f} %)"


def _warned(one: Shortcut) -> str:
    against = "" if one.model is None else f", the model {one.model:.0f} %"
    return (
        f"shortcut: {one.cue} alone tells the classes in {one.accuracy:.0f} % of cases (chance "
        f"{one.chance:.0f} %{against}); if that is how they were photographed, new photos will differ"
    )
