"""Predictions of training images by fits that had not seen them: what shows how much answers are worth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fewshot.data.dataset import Dataset
from fewshot.learners.contract import Learner

SMALLEST = 1e-12  # probability that is told from none


def by_folds(train: Dataset, seed: int, fitted: Callable[[Dataset], Learner]) -> np.ndarray | None:
    """Return probabilities (n, classes) of images by learners fitted to the other folds; None for no folds.

    NaN for images that no fold holds out: there are up to five, near-duplicates on one side. fitted: returns
    a new learner, fitted to some of the images.
    """
    from fewshot.baselines.heads.folds import deal

    fold = deal(np.unique(train.y, return_inverse=True)[1], train.scenes, seed)
    if fold.max(initial=-1) < 0:
        return None
    held_out = np.full((len(train), len(train.classes)), np.nan)
    for number in range(fold.max() + 1):
        out = fold == number
        held_out[out] = fitted(train.take(np.flatnonzero(~out))).predict(train.x[out])
    return held_out
