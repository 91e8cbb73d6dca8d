"""Shortcuts: can the classes be told by what the photos do not show, such as the size of their files?

For each cue a small forest is cross-validated on that cue alone. A model that is no better than that may
have learnt how the photos were taken, and fails where they are taken otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.inspection.measurements import Measurement
from fewshot.seeding import stream_seed
from fewshot.stats.metrics import measure

FOLDS, TREES = 5, 20
LEAST_IMAGES = 10  # of every class: with fewer, nothing is clearly above chance
DEVIATIONS = 3.0  # above chance by so many: four cues and several classes are looked at
COMPARABLE = 2 / 3  # of what the model gains over chance


@dataclass(frozen=True)
class Shortcut:
    """How well one cue alone tells the classes.

    cue: in words. accuracy: balanced, in percent, by cross-validation. error: its standard error.
    chance: what guessing gets. model: what the real model gets, None where that is not known.
    warning: clearly above chance, and comparable with the model.
    """

    cue: str
    accuracy: float
    error: float
    chance: float
    model: float | None
    warning: bool


def shortcuts(
    measurements: Sequence[Measurement | None],
    labels: np.ndarray,
    model: float | None = None,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[Shortcut, ...]:
    """Return what each cue tells, the most telling first; nothing where a class has too few photos.

    Parameters
    ----------
    measurements
        Of each photo; None where it could not be read.
    labels
        (N,).
    model
        The balanced accuracy of the real model, in percent.
    groups
        (N,), the same number for near-duplicates, which stay on one side.
    seed
        Decides folds and forests.
    """
    known = np.flatnonzero([photo is not None for photo in measurements])
    photos = [photo for photo in measurements if photo is not None]
    _, y = np.unique(np.asarray(labels)[known], return_inverse=True)
    if not len(y) or y.max() < 1 or np.bincount(y).min() < LEAST_IMAGES:
        return ()
    numbers = known if groups is None else np.asarray(groups)[known]
    chance = float(100 / (y.max() + 1))
    learnt = []
    for cue, rows in _cues(photos).items():
        if np.ptp(rows, axis=0).max() == 0:  # one size for all: nothing to learn
            continue
        answers = _answers(rows, y, numbers, seed)
        accuracy = measure(np.eye(y.max() + 1)[answers], y)["balanced_accuracy"]
        error = _error(answers == y, y)
        clear = accuracy - chance > DEVIATIONS * error
        best = 100.0 if model is None else model
        learnt.append(
            Shortcut(
                cue,
                accuracy,
                error,
                chance,
                model,
                warning=bool(clear and accuracy - chance >= COMPARABLE * (best - chance)),
            )
        )
    return tuple(sorted(learnt, key=lambda shortcut: -shortcut.accuracy))


def _cues(photos: Sequence[Measurement]) -> dict[str, np.ndarray]:
    """Return cue → its numbers, (N, some)."""
    cues = {
        "mean colour": np.array([photo.colour for photo in photos]),
        "the pixels of the border": np.array([photo.border for photo in photos]),
    }
    if all(photo.width for photo in photos):
        sizes = np.array([(photo.width, photo.height) for photo in photos], np.float64)
        cues["width and height"] = np.column_stack([sizes, sizes[:, 0] / sizes[:, 1]])
    if all(photo.bytes for photo in photos):
        cues["the size of the file"] = np.array([[photo.bytes] for photo in photos], np.float64)
    return cues


def _answers(rows: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the label that a forest gives to each photo, trained on the folds without it."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    state = stream_seed(seed, "shortcuts")
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=state)
    answers = np.empty(len(y), np.int64)
    for train, test in folds.split(rows, y, groups):
        forest = ExtraTreesClassifier(
            TREES, min_samples_leaf=3, class_weight="balanced", random_state=state
        ).fit(rows[train], y[train])
        answers[test] = forest.predict(rows[test])
    return answers


def _error(right: np.ndarray, y: np.ndarray) -> float:
    """Return the standard error of the balanced accuracy, in points; a photo more of each kind is assumed."""
    counts = np.bincount(y)
    recall = (np.bincount(y, right) + 1) / (counts + 2)
    return float(100 * np.sqrt((recall * (1 - recall) / counts).sum()) / len(counts))
