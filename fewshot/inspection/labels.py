"""Suspected wrong labels, by confident learning (Northcutt, Jiang and Chuang, JAIR 2021).

A class's threshold is the mean probability that images of this label get for it. An image is suspected
where another class reaches its threshold and is likelier than the given label. How sure that is comes from
how many times likelier it is; the rule was fitted to flipped labels (see `SCALE`).

Measured with flipped labels (10 draws of three classes × 50, EfficientNet-Lite0 and a logistic head; textiles
at 96 pixels, and CIFAR-10's cats, dogs and trucks). Clean labels bring 6 to 7 suspicions among 150.

    flipped   suspected: recall, precision        of those at least .9 sure: how many, precision
    5 %       textiles .56, .51; CIFAR .66, .49   1.6, 1.00; 3.4, .97
    10 %      textiles .54, .74; CIFAR .61, .73   1.0, 1.00; 3.3, 1.00

The surest error needs no model: the same picture under two labels, one of which is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fewshot.stats.calibration import fit_temperature, scaled

# With 5 and 10 % of the labels flipped (three classes × 50 images of CIFAR-10 and of textiles), suspicions
# of odds 1.5, 3, 6, 13 and 25 to 1 were right in 5, 18, 40, 80 and 95 of 100: odds² / (odds² + SCALE).
SCALE = 40.0
LEAST = 0.25  # less sure suspicions are not made: of those that are, half or more were right
SUREST = 0.99  # also where one picture has two labels: what looks like a near-duplicate is seldom none


@dataclass(frozen=True)
class Suspect:
    """A label that may be wrong.

    position: of the image. given, suggested: labels. sure: 0 to 1, that the label is wrong.
    twin: the position of the same picture under another label; None where there is none.
    """

    position: int
    given: int
    suggested: int
    sure: float
    twin: int | None = None


def suspected_labels(
    labels: np.ndarray, probabilities: np.ndarray | None = None, groups: np.ndarray | None = None
) -> tuple[Suspect, ...]:
    """Return the suspected labels, the surest first.

    Parameters
    ----------
    labels
        The given ones, (N,).
    probabilities
        (N, classes), of each image from models that were not trained on it; rows that are not finite are
        of images without such.
    groups
        (N,), the same number for near-duplicates.
    """
    labels = np.asarray(labels, np.int64)
    answers = None if probabilities is None else _calibrated(np.asarray(probabilities, np.float64), labels)
    suspects = {suspect.position: suspect for suspect in _by_answers(labels, answers)}
    for suspect in _by_twins(labels, answers, groups):
        suspects[suspect.position] = suspect
    return tuple(sorted(suspects.values(), key=lambda suspect: (-suspect.sure, suspect.position)))


def _calibrated(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return probabilities that mean what they say on these labels, wrong ones included; NaN stays."""
    known = np.isfinite(probabilities).all(1)
    calibrated = np.full(probabilities.shape, np.nan)
    if known.any():
        temperature = fit_temperature(probabilities[known], labels[known])
        calibrated[known] = scaled(probabilities[known], temperature)
    return calibrated


def _by_answers(labels: np.ndarray, answers: np.ndarray | None) -> list[Suspect]:
    if answers is None or answers.shape[1] < 2:
        return []
    positions = np.flatnonzero(np.isfinite(answers).all(1))
    answers, given = answers[positions], labels[positions]
    rows = np.arange(len(given))
    # A class whose label nobody has is never suggested.
    thresholds = np.array(
        [answers[given == c, c].mean() if (given == c).any() else np.inf for c in range(answers.shape[1])]
    )
    others = np.where(answers >= thresholds, answers, 0.0)
    others[rows, given] = 0.0
    suggested = others.argmax(1)
    odds = others[rows, suggested] / np.maximum(answers[rows, given], 1e-9)
    sure = np.minimum(odds**2 / (odds**2 + SCALE), SUREST)
    return [
        Suspect(int(positions[i]), int(given[i]), int(suggested[i]), float(sure[i]))
        for i in np.flatnonzero(sure >= LEAST)
    ]


def _by_twins(labels: np.ndarray, answers: np.ndarray | None, groups: np.ndarray | None) -> list[Suspect]:
    """Suspect, in groups of several labels, the images whose label has fewer votes and less probability."""
    if groups is None:
        return []
    suspects = []
    for group in np.flatnonzero(np.bincount(groups) > 1):
        members = np.flatnonzero(groups == group)
        given = np.unique(labels[members])
        if len(given) < 2:
            continue
        votes = np.array([(labels[members] == label).sum() for label in given], np.float64)
        if answers is not None and np.isfinite(answers[members]).all(1).any():
            votes += np.nanmean(answers[members], axis=0)[given]
        right = int(given[votes.argmax()])
        twin = int(members[labels[members] == right][0])
        suspects += [
            Suspect(int(i), int(labels[i]), right, SUREST, twin) for i in members if labels[i] != right
        ]
    return suspects
