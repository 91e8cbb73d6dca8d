"""Choosing among strategies on held-out photos, without being fooled by the choice.

The best of several means is too good: whoever leads has had some luck on the photos that made it lead. How
much is measured by choosing again and again, on resampled photos, and asking those that the resampling left
out (bootstrap bias corrected cross-validation; Tsamardinos, Greasidou and Borboudakis 2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fewshot.seeding import rng
from fewshot.stats.comparison import summary
from fewshot.stats.intervals import LEAST, WIDENED, Estimate, Z
from fewshot.stats.promise import balanced_estimate, scenes

BOOTSTRAPS = 500
LEAST_DRAWS = 3  # for an interval
DRAWS = -2  # the label of a whole draw


@dataclass(frozen=True)
class Choice:
    """Who was chosen, and how all stand.

    Parameters
    ----------
    winner
        The strategy with the best balanced accuracy among those that were asked about everything.
    accuracy
        Its balanced accuracy, less what the choice itself made of it.
    accuracies
        Each strategy's balanced accuracy on what it was asked about.
    differences
        What each other strategy is better by, in points, on what both were asked about.
    """

    winner: str
    accuracy: Estimate
    accuracies: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]


def choose(right: Mapping[str, np.ndarray], labels: np.ndarray, groups: np.ndarray) -> Choice | None:
    """Return the choice; None where no strategy was asked about everything, or about too little.

    Parameters
    ----------
    right
        Strategy → (N,), how often it was right about each photo, from 0 to 1; NaN where it was not asked.
    labels
        (N,), the photos' classes; `DRAWS` where whole draws stand in place of photos, and `right` is their
        accuracy.
    groups
        (N,), numbers of groups of near-duplicates.
    """
    draws = bool((labels == DRAWS).all())
    asked = {name: ~np.isnan(values) for name, values in right.items()}
    everything = np.any(list(asked.values()), axis=0)
    complete = [name for name, mask in asked.items() if mask[everything].all()]
    if not complete or everything.sum() < (LEAST_DRAWS if draws else LEAST):
        return None
    accuracies = {
        name: _mean(values[asked[name]], 0.0, 100.0)
        if draws
        else balanced_estimate(values[asked[name]], labels[asked[name]], groups[asked[name]])
        for name, values in right.items()
        if asked[name].any()
    }
    winner = max(complete, key=lambda name: accuracies[name].value)
    scores = np.stack([right[name][everything] for name in complete], 1)
    luck = _luck(scores, labels[everything])
    lucky = accuracies[winner]
    accuracy = replace(
        lucky,
        value=max(0.0, lucky.value - luck),
        interval=lucky.interval and (max(0.0, lucky.interval[0] - luck), max(0.0, lucky.interval[1] - luck)),
    )
    differences = {}
    for name in right:
        if name != winner:
            both = asked[name] & asked[winner]
            difference = right[name][both] - right[winner][both]
            differences[name] = (
                _mean(difference) if draws else _difference(difference, labels[both], groups[both])
            )
    return Choice(winner, accuracy, accuracies, differences)


def _luck(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return by how many points the best of several strategies, (N, S), looks too good."""
    if scores.shape[1] == 1:
        return 0.0
    prng = rng(0, "choice")
    drawn = np.zeros((BOOTSTRAPS, len(labels)))
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        picks = prng.integers(0, len(of_class), (BOOTSTRAPS, len(of_class)))
        for i, row in enumerate(picks):
            drawn[i, of_class] = np.bincount(row, minlength=len(of_class))
    seen, unseen = (_balanced(weights, scores, labels) for weights in (drawn, (drawn == 0).astype(float)))
    best = seen.argmax(1)
    rows = np.arange(BOOTSTRAPS)
    looks = _balanced(np.ones((1, len(labels))), scores, labels).max()
    return 100 * max(0.0, float(looks - np.nanmean(unseen[rows, best])))


def _balanced(weights: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return balanced accuracies (B, S) of scores (N, S) under weights (B, N); NaN where a class has none."""
    means = []
    for label in np.unique(labels):
        of_class = labels == label
        total = weights[:, of_class].sum(1, keepdims=True)
        means.append(np.where(total, weights[:, of_class] @ scores[of_class] / np.maximum(total, 1), np.nan))
    return np.mean(means, 0)


def _difference(differences: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Estimate:
    """Return the balanced mean of differences in [-1, 1], in points; near-duplicates count once.

    The variance is at least that of one photo in the class on which the two differ: that none did is no
    certainty that none will.
    """
    labels, differences, _ = scenes(labels, groups, differences)
    n = len(differences)
    if n < LEAST:
        return Estimate(100 * float(differences.mean()) if n else 0.0, n, None, "too few to say")
    means, variances = [], []
    for label in np.unique(labels):
        of_class = differences[labels == label]
        count = len(of_class)
        means.append(of_class.mean())
        variances.append(max(of_class.var(ddof=1) if count > 1 else 1.0, 1 / count) / count)
    half = 100 * Z * (WIDENED * sum(variances)) ** 0.5 / len(means)
    mean = 100 * float(np.mean(means))
    return Estimate(mean, n, (max(-100.0, float(mean - half)), min(100.0, float(mean + half))), None)


def _mean(values: np.ndarray, least: float = -100.0, most: float = 100.0) -> Estimate:
    """Return the mean of whole draws, in percent, with the t interval."""
    told = summary(100 * values)
    if told.ci95 is None or told.n < LEAST_DRAWS:
        return Estimate(told.mean or 0.0, told.n, None, "too few draws to say")
    low, high = told.ci95
    return Estimate(told.mean or 0.0, told.n, (max(least, low), min(most, high)), None)
