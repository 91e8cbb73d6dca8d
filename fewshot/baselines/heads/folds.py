"""Folds that keep all photos of a scene on one side."""

from __future__ import annotations

import numpy as np

from fewshot.seeding import rng

FOLDS = 5  # at most


def deal(y: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the fold that holds each photo out, int (n,): stratified, a group on one side; −1 for none.

    There are as many folds as the smallest class of two groups or more has, at most `FOLDS`. A class of one
    group is always trained on.
    """
    numbers, first, number = np.unique(groups, return_index=True, return_inverse=True)
    labels = y[first]  # of a group of several classes, its first photo's
    counts = np.bincount(labels)
    folds = np.full(len(numbers), -1)
    several = counts >= 2
    if not several.any():
        return folds[number]
    count = min(FOLDS, counts[several].min())
    random, place = rng(seed, "heads folds"), 0
    for label in np.flatnonzero(several):
        members = random.permutation(np.flatnonzero(labels == label))
        folds[members] = (place + np.arange(len(members))) % count
        place += len(members)
    while True:  # a class all of whose photos one fold would hold out, through groups that it shares
        dealt = folds[number]
        for label in np.unique(y):
            used = np.unique(dealt[y == label])
            if len(used) == 1 and used[0] >= 0:
                folds[np.unique(number[y == label])] = -1
                break
        else:
            return dealt
