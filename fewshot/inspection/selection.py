"""Which photos to label next: those that the model is unsure of, and that differ from each other.

The unsure ones are divided into as many clusters as are asked for, an unsure photo weighing more (Zhdanov,
"Diverse mini-batch active learning", 2019); of each cluster the photo nearest to its centre is taken.
"""

from __future__ import annotations

import numpy as np

from fewshot.seeding import stream_seed

UNSURE = 0.5  # times as unsure as the n-th least sure photo: what is surer teaches little, however it differs
MOST = 5000  # photos that are compared, the least sure ones
DIMENSIONS = 64  # of the space in which photos are compared


def doubt(probabilities: np.ndarray) -> np.ndarray:
    """Return how unsure each answer is, (N,): 1 minus the two largest probabilities' difference."""
    largest = np.sort(np.asarray(probabilities, np.float64), axis=1)[:, -2:]
    return 1 - (largest[:, 1] - largest[:, 0])


def select(features: np.ndarray, probabilities: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Return the positions of `n` photos to label next, the least sure first; all, where there are no more.

    Parameters
    ----------
    features
        What the model sees in each photo, (N, D).
    probabilities
        Its answers, (N, classes).
    seed
        Decides where the clusters begin.
    """
    from sklearn.cluster import KMeans

    unsure = doubt(probabilities)
    order = np.argsort(-unsure, kind="stable")
    considered = order[: max(n, MOST)]
    considered = considered[unsure[considered] >= UNSURE * unsure[considered[:n]].min()]
    if len(considered) <= n:
        return considered
    points = _directions(np.asarray(features, np.float64)[considered])
    count = min(n, len(np.unique(points.round(6), axis=0)))
    clusters = KMeans(count, n_init=3, random_state=stream_seed(seed, "next"))
    distances = clusters.fit_transform(points, sample_weight=unsure[considered] + 1e-3)
    members = [np.flatnonzero(clusters.labels_ == cluster) for cluster in range(count)]
    central = [of[distances[of, cluster].argmin()] for cluster, of in enumerate(members) if len(of)]
    rest = np.setdiff1d(np.arange(len(considered)), central)  # where many photos are equal
    return considered[np.sort([*central, *rest[: n - len(central)]])]


def _directions(features: np.ndarray) -> np.ndarray:
    """Return centred features of length 1, in no more dimensions than matter."""
    centred = features - features.mean(0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    points = (left * size)[:, :DIMENSIONS]
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
