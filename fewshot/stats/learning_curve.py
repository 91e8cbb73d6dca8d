"""How accuracy grows with training images a class, carried on beyond what there are.

Errors fall about as a power of the number of images (Hestness et al., arXiv 1712.00409):

    curve = fit({5: [61.0, 64.5], 10: [70.2, 69.1], 20: [74.8, 76.0]})
    curve.at(50)           # (81.3, 77.9, 84.2): accuracy in percent, and its 95 % interval
    curve.shots_for(95.0)  # 410, or None: not with these features
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.seeding import rng
from fewshot.stats.intervals import Estimate, Z

BOOTSTRAPS = 400
LEAST_ERROR = 0.05  # percent: none at all on the few images held out is not none
FURTHEST = 20  # times as many images as there were: beyond, nothing is said


@dataclass(frozen=True)
class Curve:
    """The law error = exp(level) · shots^-exponent, and as many laws as resampled draws gave.

    laws: (B, 2), level and exponent of each. law: those of all draws. most: the largest number of shots.
    noise: the deviation of the points from the law; sampling: that of the error, by the choice of the photos
    that all draws are of. Both in logarithms of the error.
    """

    law: tuple[float, float]
    laws: np.ndarray
    most: int
    noise: float
    sampling: float

    def at(self, shots: float) -> tuple[float, float, float]:
        """Return the accuracy to expect with so many images a class, and its 95 % interval, in percent."""
        errors = _error(self.laws, shots)
        spread = self.noise * max(1.0, np.log(shots / self.most) + 1)  # a law bends, the more the further
        half = Z * float(np.sqrt(np.log(errors).var() + spread**2 + self.sampling**2))
        error = float(_error(np.array([self.law]), shots)[0])
        low, high = (float(np.clip(100 - error * np.exp(sign * half), 0, 100)) for sign in (1, -1))
        return float(np.clip(100 - error, 0, 100)), low, high

    def shots_for(self, accuracy: float) -> int | None:
        """Return about how many images a class this accuracy takes; None where the curve does not get there.

        Beyond FURTHEST times the images that there were, it is not said to.
        """
        level, exponent = self.law
        error = 100 - accuracy
        if error <= 0:
            return None
        if self.at(1)[0] >= accuracy:
            return 1
        if exponent <= 0 or (level - np.log(error)) / exponent > np.log(FURTHEST * self.most):
            return None
        return int(np.ceil(np.exp((level - np.log(error)) / exponent) - 1e-9))

    def shots_from(self, shots: float, accuracy: float, goal: float) -> int | None:
        """Return how many images a class the goal takes, where `shots` gave `accuracy`; as `shots_for`."""
        if accuracy >= goal:
            return int(shots)
        exponent = self.law[1]
        needed = np.log((100 - accuracy) / max(100 - goal, 1e-9))
        if exponent <= 0 or needed / exponent > np.log(FURTHEST):
            return None
        return int(np.ceil(shots * np.exp(needed / exponent) - 1e-9))

    def carried_on(self, shots: float, accuracy: Estimate, more: float) -> Estimate:
        """Return what the accuracy of `shots` images a class becomes with `more`, and its 95 % interval.

        The curve says how errors fall; where they stand, photos out of fold say.
        """
        value = 100 - (100 - accuracy.value) * self.error_ratio(shots, more)
        middle, low, high = self.at(more)
        bounds = max(0.0, value + low - middle), min(100.0, value + high - middle)
        return Estimate(value, accuracy.n, bounds)

    def error_ratio(self, shots: float, more: float) -> float:
        """Return the error with `more` images a class over that with `shots`: 1 where nothing is gained."""
        return float((more / shots) ** -self.law[1])


def fit(accuracies: Mapping[int, Sequence[float]], photos: int | None = None) -> Curve | None:
    """Return the curve through accuracies in percent, training images a class → one a draw.

    photos: how many there are, where all draws are of the same: others would have been easier or harder.

    None for fewer than three numbers of images, from which no law can be told. Errors that do not fall give
    a curve that stays where it is.
    """
    shots = sorted(n for n, values in accuracies.items() if len(values))
    if len(shots) < 3:
        return None
    draws = [np.asarray(accuracies[n], float) for n in shots]
    logs = np.log(shots)
    law = _law(logs, np.array([[values.mean() for values in draws]]))[0]
    prng = rng(0, "learning curve")
    resampled = np.stack([prng.choice(values, (BOOTSTRAPS, len(values))).mean(1) for values in draws], axis=1)
    means = np.log(np.maximum(100 - np.array([values.mean() for values in draws]), LEAST_ERROR))
    off = means - (law[0] - law[1] * logs)
    noise = float(np.sqrt((off**2).sum() / max(1, len(shots) - 2)))
    error = min(0.99, float(np.exp(means[-1])) / 100)
    sampling = float(np.sqrt((1 - error) / (error * photos))) if photos else 0.0
    return Curve((float(law[0]), float(law[1])), _law(logs, resampled), shots[-1], noise, sampling)


def _law(logs: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return level and exponent, (B, 2), of the least squares through B rows of mean accuracies.

    The last points count most: errors of very few images fall by another law.
    """
    errors = np.log(np.maximum(100 - means, LEAST_ERROR))
    weight = np.exp(logs - logs[-1])
    weight = weight / weight.sum()
    x = logs - weight @ logs
    exponent = -(errors * weight * x).sum(1) / (weight * x**2).sum()
    exponent = np.maximum(exponent, 0.0)
    return np.stack([errors @ weight + exponent * (weight @ logs), exponent], axis=1)


def _error(laws: np.ndarray, shots: float) -> np.ndarray:
    return np.exp(laws[:, 0] - laws[:, 1] * np.log(shots))
