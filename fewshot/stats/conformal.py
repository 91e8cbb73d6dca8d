"""Saying "one of these", and "none of these": how much of an answer the photos at hand bear out.

    sets = prediction_sets(probabilities, labels)   # of predictions out of fold
    sets.of(calibrated)                             # (M, classes) bool: 90 % of photos have their class in it
    novelty = Novelty.fit(features, groups)
    novelty.refused(new)                            # (M,) bool: of photos like these, 5 %

Both promise what they do for photos that come from where these came from, whatever the learner is.
Both are plain JSON (`to_json`, `from_json`), and a few standard layers: a threshold on probabilities; and
unit norm, one dense layer whose kernel are the references, and the mean of its three largest outputs.

The distance was chosen by measuring: features of unit length, neither centred nor whitened. Centring makes
flat and noisy images look near; of raw features, those of a grey image are near to everything.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fewshot.seeding import rng

COVERAGE = 0.9
REFUSED = 0.05  # of photos of the known classes
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)  # of them, for which there are other thresholds
FARTHEST = 2.0  # no distance is above it
NEIGHBOURS = 3
REFERENCES = 400  # photos kept at most; of more, so many at random


@dataclass(frozen=True)
class PredictionSets:
    """The classes to name: all that are at least so probable, and the most probable one in any case.

    coverage: the share of photos whose class is among those named. least_probability: 0 where there are too
    few photos to leave any class out.
    """

    coverage: float
    least_probability: float

    def of(self, probabilities: np.ndarray) -> np.ndarray:
        """Return which classes are named, bool (N, classes), for calibrated probabilities of that shape."""
        probabilities = np.asarray(probabilities, np.float64)
        named = probabilities >= self.least_probability
        named[np.arange(len(named)), probabilities.argmax(1)] = True
        return named

    def to_json(self) -> dict[str, float]:
        """Return what `from_json` takes."""
        return {"coverage": self.coverage, "least_probability": self.least_probability}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> PredictionSets:
        """Return the sets that a JSON object describes; `ValueError` for numbers that are none."""
        values = {name: _number(content, name, 0, 1) for name in ("coverage", "least_probability")}
        return cls(**values)


def prediction_sets(
    probabilities: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | Sequence[int] | None = None,
    coverage: float = COVERAGE,
) -> PredictionSets:
    """Return sets that hold the class of so many new photos (cross-conformal prediction, Vovk 2015).

    probabilities: (N, classes) or (R, N, classes), calibrated, out of fold. labels: (N,). groups: (N,), of
    near-duplicates, which count as one photo.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    if probabilities.ndim == 2:
        probabilities = probabilities[None]
    weights = _once(groups, len(labels))
    given = probabilities[:, np.arange(len(labels)), labels]
    return PredictionSets(coverage, float(np.mean([_below(part, weights, 1 - coverage) for part in given])))


@dataclass(frozen=True)
class Novelty:
    """How unlike all known photos one is: one minus the mean cosine to the most similar ones.

    references: (N, D), features of known photos, of unit length. threshold: above it, a photo is of none of
    these classes. others: share of photos of the known classes that are refused → the threshold for that.
    """

    references: np.ndarray
    threshold: float
    others: Mapping[float, float] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        groups: np.ndarray | Sequence[int] | None = None,
        refused: float = REFUSED,
    ) -> Novelty:
        """Return the distance from these photos, that `refused` of photos like them exceed.

        features: (N, D), of the photos. groups: (N,), of near-duplicates. The threshold is calibrated leaving
        each photo out, with its near-duplicates.
        """
        features = _unit(np.asarray(features, np.float64))
        scenes = np.arange(len(features)) if groups is None else np.asarray(groups)
        positions = cls.chosen(len(features))
        references = features[positions].astype("<f2").astype(np.float64)  # as it is kept
        cosines = features @ references.T
        cosines[scenes[:, None] == scenes[positions]] = -1
        similar = -_distance(cosines)
        weights = _once(scenes, len(features))
        thresholds = {
            share: -_below(similar, weights, share, least=-FARTHEST) for share in (refused, *SHARES)
        }
        return cls(references, thresholds[refused], thresholds)

    def refusing(self, share: float) -> Novelty:
        """Return the same with the threshold that this share of photos of the known classes exceed.

        0: no photo is refused. Raises `ValueError` for a share that has not been measured.
        """
        if share not in (0, *self.others):
            raise ValueError(f"no threshold is known for {share}")
        return replace(self, threshold=self.others[share] if share else FARTHEST)

    @property
    def share(self) -> float | None:
        """Which share of photos of the known classes is refused; None where the threshold does not say."""
        if self.threshold == FARTHEST:
            return 0.0
        shares = [share for share, threshold in self.others.items() if threshold == self.threshold]
        return min(shares, key=lambda share: abs(share - REFUSED)) if shares else None

    @staticmethod
    def chosen(photos: int) -> np.ndarray:
        """Return the positions of those of so many photos that are kept as references, in their order."""
        return np.sort(rng(0, "references").permutation(photos)[:REFERENCES])

    def nearest(self, features: np.ndarray, count: int = NEIGHBOURS) -> tuple[np.ndarray, np.ndarray]:
        """Return the most similar references, (count,), and their cosines, of the features of one, (D,)."""
        cosines = self.references @ _unit(np.asarray(features, np.float64)[None])[0]
        nearest = np.argsort(-cosines, kind="stable")[:count]
        return nearest, cosines[nearest]

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Return the distances, float (M,) from 0 to 2, of features (M, D)."""
        return _distance(_unit(np.asarray(features, np.float64)) @ self.references.T)

    def refused(self, features: np.ndarray) -> np.ndarray:
        """Return whether photos are of none of these classes, bool (M,), by their features (M, D)."""
        return self.distance(features) > self.threshold

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes: the references in half precision, base64."""
        packed = base64.b64encode(self.references.astype("<f2").tobytes()).decode()
        return {
            "threshold": self.threshold,
            "thresholds": {str(share): threshold for share, threshold in self.others.items()},
            "photos": len(self.references),
            "references": packed,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Novelty:
        """Return the distance that a JSON object describes; `ValueError` where it describes none."""
        photos, text = content.get("photos"), content.get("references")
        if type(photos) is not int or photos < 1 or not isinstance(text, str):
            raise ValueError("references: expected the features of some photos in base64")
        row = np.frombuffer(base64.b64decode(text, validate=True), "<f2").astype(np.float64)
        if not len(row) or len(row) % photos or not np.isfinite(row).all():
            raise ValueError("references: expected a row of finite numbers for each photo")
        others = content.get("thresholds", {})  # older cards have one alone
        return cls(
            row.reshape(photos, -1),
            _number(content, "threshold", -1, FARTHEST),
            {float(share): _number(others, share, -1, FARTHEST) for share in others},
        )


def _distance(cosines: np.ndarray) -> np.ndarray:
    return 1 - np.sort(cosines, axis=1)[:, -NEIGHBOURS:].mean(1)


def _once(groups: np.ndarray | Sequence[int] | None, count: int) -> np.ndarray:
    """Return what each photo weighs where those of a group count as one."""
    if groups is None:
        return np.ones(count)
    _, group, size = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return 1 / size[group.reshape(-1)]


def _below(values: np.ndarray, weights: np.ndarray, share: float, least: float = 0.0) -> float:
    """Return the largest of the values that a new one falls short of with this probability at most.

    A new value is as likely to fall into any of the gaps between n known ones: `least` where n is too small.
    """
    order = np.argsort(values, kind="stable")
    rank, allowed = np.cumsum(weights[order]), share * (weights.sum() + 1) + 1e-9
    if allowed < 1:
        return least
    return float(values[order[np.flatnonzero(rank <= allowed)[-1]]])


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _number(content: Mapping[str, Any], name: str, least: float, most: float) -> float:
    value = content.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name}: expected a number from {least} to {most}. Received: {value!r}")
    return float(value)
