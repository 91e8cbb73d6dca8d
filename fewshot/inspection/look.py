"""Look at labelled photos: `inspect` puts together what the files of this room find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewshot.data.depth import Levels
from fewshot.data.views import VIEWS
from fewshot.inspection.findings import KINDS, Finding, Inspection
from fewshot.inspection.labels import suspected_labels
from fewshot.inspection.measurements import measure_files, measure_images
from fewshot.inspection.outliers import outliers
from fewshot.inspection.quality import faults
from fewshot.inspection.shortcuts import shortcuts
from fewshot.stats.metrics import measure
from fewshot.wording import readable


@dataclass(frozen=True)
class Apart:
    """A photo of another part than the one looked at: its file, class, group and picture."""

    file: str
    label: str
    group: int
    image: np.ndarray


def inspect(
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    files: Sequence[str] = (),
    directory: str | Path | None = None,
    probabilities: np.ndarray | None = None,
    features: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    seed: int = 0,
    levels: Levels | None = None,
    apart: Sequence[Apart] = (),
) -> Inspection:
    """Return what is suspicious about labelled photos. Needs neither TensorFlow nor a GPU.

    Parameters
    ----------
    images
        uint8, (N, height, width, 3), or in all views, (N, V, size, size, 3), of which `padded` is shown.
    labels, classes
        (N,), positions in `classes`.
    files
        The photos' files, in the order of the images; none for images without.
    directory
        What the files' paths are relative to. Without it light, sharpness and border are measured on the
        images, and size and shape are not.
    probabilities
        (N, classes), from models that were not trained on the image; rows of NaN where there are none.
        Without them only labels of near-duplicates are questioned.
    features
        (N, D), of a frozen backbone. Without them no outliers are looked for.
    groups
        (N,), the numbers of near-duplicates, as `fewshot.data.duplicates.groups` returns them.
    seed
        Decides what is drawn at random.
    levels
        Of photos with more than 8 bits, the ranges that they are scaled from.
    apart
        Photos of other parts, which some of these may repeat.

    Raises
    ------
    ValueError
        Where the arrays do not fit each other.
    """
    labels = np.asarray(labels, np.int64)
    _check(len(images), labels, files, probabilities, features, groups)
    if images.ndim == 5:
        images = images[:, VIEWS.index("padded")]
    names = [readable(file) for file in files] or [f"image {i}" for i in range(len(labels))]
    if files and directory is not None:
        measurements = measure_files([Path(directory) / file for file in files], levels)
    else:
        measurements = list(measure_images(images))

    def finding(kind: str, position: int, suspicion: float, why: str, **more: str) -> Finding:
        label = classes[labels[position]]
        return Finding(kind, position, names[position], label, float(suspicion), why, **more)

    findings, twins = [], {}
    for suspect in suspected_labels(labels, probabilities, groups):
        suggested = classes[suspect.suggested]
        if suspect.twin is None:
            why = f"models trained without it say {suggested}"
            findings.append(finding("wrong label", suspect.position, suspect.sure, why, suggested=suggested))
        else:
            twin = twins[suspect.position] = {
                "other": names[suspect.twin],
                "other_label": classes[labels[suspect.twin]],
            }
            why = f"the same photo as {twin['other']}, which is {twin['other_label']}: one label is wrong"
            findings.append(
                finding("label error", suspect.position, suspect.sure, why, suggested=suggested, **twin)
            )
    elsewhere = {}
    for position, repeated in _repeats_of(apart, groups):
        other, other_label = readable(repeated.file), repeated.label
        elsewhere[other] = repeated.image
        twin = {"other": other, "other_label": other_label}
        if other_label == classes[labels[position]]:
            why = f"nearly the same photo as {other}: together they tell nothing of new photos"
            findings.append(finding("in two parts", position, 0.99, why, **twin))
        elif position not in twins:
            why = f"the same photo as {other}, which is {other_label}: one label is wrong"
            findings.append(finding("label error", position, 0.99, why, suggested=other_label, **twin))
    for position, original in _repeats(groups):
        if position not in twins and labels[position] == labels[original]:
            twin = {"other": names[original], "other_label": classes[labels[original]]}
            why = f"nearly the same photo as {twin['other']}, also {twin['other_label']}"
            findings.append(finding("duplicate", position, 0.99, why, **twin))
    if features is not None:
        findings += [
            finding("outlier", i, sure, "unlike any other") for i, sure in outliers(features, groups)
        ]
    findings += [finding(fault.kind, fault.position, fault.sure, fault.why) for fault in faults(measurements)]
    order = list(KINDS)
    findings.sort(key=lambda finding: (order.index(finding.kind), -finding.suspicion, finding.position))
    return Inspection(
        tuple(findings),
        shortcuts(measurements, labels, _accuracy(probabilities, labels), groups, seed),
        len(labels),
        images,
        tuple(names),
        elsewhere,
    )


def _check(n: int, labels: np.ndarray, files: Sequence[str], *arrays: np.ndarray | None) -> None:
    lengths = [n, len(labels), *([len(files)] if files else []), *(len(a) for a in arrays if a is not None)]
    if len(set(lengths)) > 1:
        raise ValueError(f"an inspection needs as many of all as there are images. Received: {lengths}")


def _repeats(groups: np.ndarray | None) -> list[tuple[int, int]]:
    """Return each image that repeats one before it, with the first of its group."""
    if groups is None:
        return []
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    return [(i, int(first[group])) for i, group in enumerate(number) if first[group] != i]


def _repeats_of(apart: Sequence[Apart], groups: np.ndarray | None) -> list[tuple[int, Apart]]:
    """Return each image that repeats one of another part, with the first such one there."""
    first = {photo.group: photo for photo in reversed(apart)}
    numbers = [] if groups is None else groups.tolist()
    return [(position, first[group]) for position, group in enumerate(numbers) if group in first]


def _accuracy(probabilities: np.ndarray | None, labels: np.ndarray) -> float | None:
    """Return the balanced accuracy of the answers that there are, in percent."""
    if probabilities is None or not (known := np.isfinite(probabilities).all(1)).any():
        return None
    return measure(probabilities[known], labels[known])["balanced_accuracy"]
