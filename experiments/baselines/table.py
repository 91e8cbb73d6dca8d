"""The rows of `experiments.baselines`: from recorded parts to scores, and to the table."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from experiments.baselines.jobs import Bench, Job, Search, vote
from experiments.baselines.parts import PartRecord
from experiments.baselines.published import PUBLISHED, QUANTITIES, REMARKS, Published
from fewshot.stats import metrics

NONE = "–"
Parts: TypeAlias = "Sequence[tuple[PartRecord, Mapping[str, np.ndarray]]]"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    matrix: the confusion on the test images; of a cross-validation the sum over its networks, and `scores`
    the mean. folds: accuracy of each network on its fold. curve: that of the first network. failed: why.
    """

    name: str
    group: str
    scores: dict[str, float] | None
    matrix: np.ndarray | None
    seconds: float
    networks: int = 0
    epochs: float = 0
    parameters: int | None = None
    folds: tuple[float, ...] = ()
    curve: dict | None = None
    failed: str | None = None

    @property
    def epoch_seconds(self) -> float | None:
        """Seconds an epoch, for a network."""
        return self.seconds / self.networks / self.epochs if self.epochs else None

    @property
    def published(self) -> Published | None:
        """What the report says."""
        return PUBLISHED.get(self.name)

    def document(self) -> dict:
        """Return the row as JSON."""
        return {
            "method": self.name,
            **(self.scores or dict.fromkeys(QUANTITIES)),
            "failed": self.failed,
            "seconds": self.seconds,
            "epoch_seconds": self.epoch_seconds,
            "parameters": self.parameters,
            "folds": list(self.folds),
            "confusion": self.matrix.tolist() if self.matrix is not None else None,
            "curve": self.curve,
            "reported": self.published and self.published.document(),
            "remark": self.published and REMARKS.get(self.published.remark),
        }


def rows(job: Job, bench: Bench, parts: Parts, ks: Sequence[int]) -> list[Row]:
    """Return the rows of a job: one for each k, or one."""
    records = [record for record, _ in parts]
    seconds = sum(record.seconds for record in records)
    failed = next((record.reason for record in records if not record.ok), None)
    if failed:
        return [Row(job.name, job.group, None, None, seconds, failed=failed)]
    classes = len(bench.test.classes)
    if isinstance(job, Search):
        positions = np.concatenate([arrays["positions"] for _, arrays in parts])
        answers = {
            f"{job.name} k={k}": [vote(positions, bench.train.y, k, classes)] for k in dict.fromkeys(ks)
        }
    else:
        answers = {job.name: [arrays["answers"] for _, arrays in parts]}
    more = {}
    if records[0].epochs is not None:
        more = {name: getattr(records[0], name) for name in ("epochs", "parameters", "curve")}
        more["networks"] = len(records)
        more["folds"] = tuple(record.fold["accuracy"] for record in records if record.fold)
    return [
        Row(name, job.group, *_scored(bench.test.y, predicted, classes), seconds, **more)
        for name, predicted in answers.items()
    ]


def _scored(
    labels: np.ndarray, answers: Sequence[np.ndarray], classes: int
) -> tuple[dict[str, float], np.ndarray]:
    """Return the mean scores of so many answers to all test images, and the sum of their confusions."""
    matrices = [metrics.confusion(labels, given, classes) for given in answers]
    scores = [metrics.scores(matrix) for matrix in matrices]
    return {name: float(np.mean([score[name] for score in scores])) for name in QUANTITIES}, sum(matrices)


def text(measured: Sequence[Row], document: Mapping) -> str:
    """Return the table, and below it what was wrong in the report and where the rest is."""
    from fewshot.report.table import aligned

    lines = [*aligned(columns(measured, document)), "", *legend(measured, document)]
    lines.append(f"pictures: {', '.join(document['figures'])}")
    return "\n".join([*lines, f"records:  {document['records']}"])


def columns(measured: Sequence[Row], document: Mapping) -> list[list[str]]:
    """Return the table's columns, each its heading and its cells."""
    columns = [["method", *(row.name for row in measured)]]
    for name, heading in zip(QUANTITIES, ("accuracy", "precision", "recall", "F1"), strict=True):
        columns.append([heading, *(f"{row.scores[name]:.2f}" if row.scores else NONE for row in measured)])
    columns.append(["seconds", *(f"{row.seconds:,.1f}" for row in measured)])
    if any(row.epochs for row in measured):
        columns.append(
            ["an epoch", *(f"{row.epoch_seconds:,.1f}" if row.epochs else NONE for row in measured)]
        )
    if _is_reported(document):
        said = (row.published.text() if row.published else NONE for row in measured)
        columns.append(["reported", *said])
    return columns


def _is_reported(document: Mapping) -> bool:
    """Return whether the images are those of the report: all of CIFAR-10."""
    data = document["data"]
    return data["data"] == "cifar10" and not any(data["limits"].values())


def legend(measured: Sequence[Row], document: Mapping) -> list[str]:
    """Return the lines between the table and the paths."""
    lines = ["precision, recall and F1: macro means; seconds of a search serve every k"]
    if any("zscore" in row.name for row in measured):
        kinds = {"scalar": "all pixels", "channel": "each colour channel", "pixel": "each pixel and channel"}
        lines.append(
            f"z-score: one mean and variance for {kinds[document['zscore']]}, of the training images; "
            "votes that tie go to the lowest label"
        )
    for row in measured:
        if row.failed:
            lines.append(f"{row.name} failed: {row.failed}")
        if row.folds:
            std = np.std(row.folds, ddof=1)
            lines.append(
                f"{row.name}: mean of {row.networks} networks; "
                f"on the folds held out {np.mean(row.folds):.2f} ± {std:.2f}"
            )
    beside = measured if _is_reported(document) else ()
    used = {row.published.remark for row in beside if row.published}
    for letter in string.ascii_lowercase:
        if letter in used:
            lines.append(f"({letter}) {REMARKS[letter]}")
    return lines
