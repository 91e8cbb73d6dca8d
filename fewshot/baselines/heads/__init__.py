"""Heads for few photos: linear classifiers on frozen features, in milliseconds, with usable probabilities.

    ridge-gcv    ridge regression, the penalty by leave-one-photo-out, in closed form (generalised CV)
    logistic-cv  logistic regression, the penalty by cross-validation
    lda          linear discriminant analysis, the covariance shrunk as Ledoit and Wolf do
    svm          a linear support vector machine, the penalty by cross-validation
    centroid     the nearest class mean

All count classes alike, whatever their numbers of photos, unless weights say otherwise: a row of weight 2 is
one that stands there twice. Discriminant analysis and centroids, which have no prior, take from weights how
much a row counts within its class; the others how much a class counts, too.

Weights alone are not enough: of many features, few photos of a class tell its own noise, and new photos of it
are taken for the other's. How far scores are off is seen on photos that are held out, and put right.

What decides between penalties, how steep scores without probabilities are, and which candidates are good are
predictions of photos that are held out: all rows of a photo, and of its near-duplicates, at once.

n rows of D features lie in at most n dimensions: they are rotated there first, which changes nothing that a
linear head with a quadratic penalty does, and costs one Gram matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from fewshot.baselines.heads.by_strength import logistic, machine
from fewshot.baselines.heads.means import centroid, discriminant
from fewshot.baselines.heads.ridge import ridge
from fewshot.baselines.heads.rotated import Parts, Rotated
from fewshot.baselines.heads.unequal import correction

HEADS: dict[str, Callable[[Rotated], Parts]] = {
    "ridge-gcv": ridge,
    "logistic-cv": logistic,
    "lda": discriminant,
    "svm": machine,
    "centroid": centroid,
}


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head: probabilities are softmax(rows @ kernel + bias).

    kernel: float64 (D, C). bias: float64 (C,).
    held_out: float64 (n, C), probabilities of the training rows by heads that had not seen them, at the
    penalty that was chosen; NaN for rows that no fold holds out.
    chosen: the penalty, or None.
    """

    kernel: np.ndarray
    bias: np.ndarray
    held_out: np.ndarray
    chosen: float | None


def fit_head(name: str, rows: Rotated) -> FittedHead:
    """Return the head of a name, fitted to rotated rows."""
    classes, n = rows.classes, len(rows.y)
    if not rows.energy.size:  # rows that are all equal tell nothing
        even = np.full((n, classes), 1 / classes)
        return FittedHead(np.zeros((rows.width, classes)), np.zeros(classes), even, None)
    coefficients, bias, scores, chosen = HEADS[name](rows)
    if rows.uneven and len(np.unique(rows.y[rows.tested])) == classes:
        factor, shift = correction(*rows.held_out(scores))
        coefficients, bias, scores = factor * coefficients, factor * bias + shift, factor * scores + shift
    kernel, bias = rows.back(coefficients, bias)
    held_out = np.full((n, classes), np.nan)
    held_out[rows.tested] = softmax(scores[rows.tested], 1)
    return FittedHead(kernel, bias, held_out, chosen)
