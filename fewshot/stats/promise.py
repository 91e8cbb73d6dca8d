"""The promise: what a model trained on all photos will do on new ones, from predictions out of fold.

    told = promise(probabilities, labels, groups)
    told.balanced_accuracy.value, told.balanced_accuracy.interval, told.recall[2].interval

Each photo was predicted by the very recipe that is delivered, trained on the others. The interval is for the
accuracy of the one model that is delivered, on photos it has not seen: so it is wider than that of a share of
as many independent photos, since another training set of the same size would have given another model
(Bates, Hastie and Tibshirani 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.data.dataset import Prior
from fewshot.stats import metrics
from fewshot.stats.calibration import calibration_error, error_by_chance, fit_temperature, scaled
from fewshot.stats.intervals import WIDENED, Estimate, estimate


@dataclass(frozen=True)
class Promise:
    """What to expect of new photos. All but `temperature` and `n` in percent.

    Parameters
    ----------
    accuracy
        Of photos whose classes are as frequent as in the folder.
    balanced_accuracy
        The mean of the classes' recalls.
    recall
        Of each class: the share of its photos that is recognised; None for a class without photos.
    confusion
        Of 100 photos of each class (rows), how many get each answer: as `recall`, which is its diagonal.
    ece
        The expected calibration error of the calibrated probabilities, in points.
    ece_by_chance
        What it would be of perfect probabilities, of so few photos.
    temperature
        What calibrates the probabilities: `fewshot.stats.calibration.scaled`.
    n
        How many photos this is counted on, near-duplicates once.
    prior
        How classes count where the model is trained: `fewshot.data.dataset.Prior`.
    """

    accuracy: Estimate
    balanced_accuracy: Estimate
    recall: tuple[Estimate | None, ...]
    confusion: tuple[tuple[float, ...], ...]
    ece: float
    ece_by_chance: float
    temperature: float
    n: int
    prior: Prior = "alike"

    @property
    def expected(self) -> Estimate:
        """What to expect of photos whose classes are as frequent as the model takes them to be."""
        return self.balanced_accuracy if self.prior == "alike" else self.accuracy


def promise(
    probabilities: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | Sequence[int] | None = None,
    error_ratio: float = 1.0,
    prior: Prior = "alike",
) -> Promise:
    """Return what out-of-fold predictions promise of new photos.

    Parameters
    ----------
    probabilities
        (N, classes), or (R, N, classes) of R divisions into folds: what the recipe says of each photo,
        trained on those of other folds.
    labels
        (N,), positions of classes.
    groups
        (N,), numbers of groups of near-duplicates, which count as one photo.
    error_ratio
        The error of the recipe trained on all photos over that trained on a fold's, 1 or less: of the
        learning curve, `Curve.error_ratio`.
    prior
        Whether probabilities are calibrated for classes that are alike, or as frequent as in the folder.

    Raises
    ------
    ValueError
        For shapes that do not fit, or without any photo.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    if probabilities.ndim == 2:
        probabilities = probabilities[None]
    if probabilities.ndim != 3 or not len(labels) or probabilities.shape[1:2] != labels.shape:
        raise ValueError(
            "a promise is made from probabilities (N, classes) or (R, N, classes) and N labels. "
            f"Received: {probabilities.shape} and {labels.shape}"
        )
    answers = probabilities.argmax(2)
    right = (answers == labels).mean(0)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    unit_label, unit_right, weight = scenes(labels, groups, right)
    unit_right = 1 - error_ratio * (1 - unit_right)

    counts = np.bincount(unit_label, minlength=probabilities.shape[2])
    present = counts > 0
    shares = np.bincount(unit_label, unit_right, len(counts)) / np.maximum(counts, 1)
    balanced, effective = _balanced(shares[present], counts[present])
    n = int(counts.sum())
    counted = weight / counts[labels] if prior == "alike" else weight  # as where the model is trained
    temperature, ece, by_chance = _calibration(probabilities, labels, counted * n / counted.sum())
    return Promise(
        accuracy=estimate(float(unit_right.mean()), n, n / WIDENED),
        balanced_accuracy=estimate(balanced, n, effective / WIDENED),
        recall=tuple(
            estimate(float(share), int(count), count / WIDENED) if count else None
            for share, count in zip(shares, counts, strict=True)
        ),
        confusion=_confusion(answers, labels, weight, error_ratio, len(counts)),
        ece=ece,
        ece_by_chance=by_chance,
        temperature=temperature,
        n=n,
        prior=prior,
    )


def _confusion(
    answers: np.ndarray, labels: np.ndarray, weight: np.ndarray, error_ratio: float, classes: int
) -> tuple[tuple[float, ...], ...]:
    """Return the answers to 100 photos of each class (rows), each kind of error less by the same ratio.

    answers: (R, N). labels, weight: (N,), what each photo counts. A row without photos is 0.
    """
    said = np.stack([(answers == answer).mean(0) for answer in range(classes)], 1)
    counts = np.zeros((classes, classes))
    np.add.at(counts, labels, weight[:, None] * said)
    shares = error_ratio * metrics.shares(counts)
    present = counts.sum(1) > 0
    shares[present, present] += 100 * (1 - error_ratio)
    return tuple(map(tuple, shares.tolist()))


def balanced_estimate(right: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Estimate:
    """Return the balanced accuracy of new photos, in percent.

    right: (N,), how often each photo was right, from 0 to 1. labels, groups: (N,), as for `promise`.
    """
    unit_label, unit_right, _ = scenes(labels, groups, right)
    label = np.unique(unit_label, return_inverse=True)[1]
    counts = np.bincount(label)
    share, effective = _balanced(np.bincount(label, unit_right) / counts, counts)
    return estimate(share, int(counts.sum()), effective / WIDENED)


def scenes(labels: np.ndarray, groups: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return label and mean value of each scene, the near-duplicates of one class, and what a photo weighs.

    labels, groups, values: (N,), of photos. Returns (S,), (S,) and (N,): one over how many its scene has.
    """
    pairs, scene = np.unique(np.stack([labels, groups], 1), axis=0, return_inverse=True)
    scene = scene.reshape(-1)
    size = np.bincount(scene)
    return pairs[:, 0], np.bincount(scene, values) / size, 1 / size[scene]


def _balanced(recall: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return the mean of recalls in [0, 1], and how many independent photos would say it as surely.

    Of a class with few photos, the recall that its variance is taken from is drawn towards the others' by two
    photos: all right of three is no certainty.
    """
    drawn = (recall * counts + 2 * (recall.mean() * counts.sum() + 1) / (counts.sum() + 2)) / (counts + 2)
    alike = drawn.mean() * (1 - drawn.mean())
    effective = len(recall) ** 2 * alike / float((drawn * (1 - drawn) / counts).sum())
    return float(recall.mean()), min(effective, float(counts.sum()))


def _calibration(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[float, float, float]:
    """Return temperature, calibration error, and that by chance; weights: what each photo counts, (N,)."""
    repeats, _, classes = probabilities.shape
    temperature = fit_temperature(
        probabilities.reshape(-1, classes), np.tile(labels, repeats), np.tile(weights / repeats, repeats)
    )
    calibrated = [scaled(part, temperature) for part in probabilities]
    errors = [calibration_error(part, labels, weights) for part in calibrated]
    by_chance = [error_by_chance(part, weights) for part in calibrated]
    return temperature, float(np.mean(errors)), float(np.mean(by_chance))
