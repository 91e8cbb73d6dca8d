"""Logistic regression and the linear support vector machine, their penalties by cross-validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from fewshot.baselines.heads.rotated import Parts, Rotated, two_sided


def logistic(rows: Rotated) -> Parts:
    """Logistic regression with the C whose held-out log loss is least."""
    return _by_strength(rows, LOGISTIC)


def machine(rows: Rotated) -> Parts:
    """A linear support vector machine (squared hinge) with the C whose held-out log loss is least."""
    return _by_strength(rows, HINGE)


@dataclass(frozen=True)
class _Loss:
    """A convex loss of scores, for several penalised problems side by side.

    gradient(scores, targets, weights), all (columns, problems, n): its derivative, times the weights.
    curvature: what the second derivative is at most, of one column and of several. second: its values, where
    columns do not depend on each other; None where they do.
    calibrated: whether the softmax of scores are probabilities.
    strengths: the C to choose from, times a mean squared length.
    """

    gradient: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    second: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray | None]
    curvature: tuple[float, float]
    calibrated: bool
    strengths: np.ndarray


def _logistic_gradient(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if len(scores) == 1:
        shares = expit(scores)
    else:
        shares = np.exp(scores - scores.max(0))
        shares /= shares.sum(0)
    shares -= targets
    shares *= weights
    return shares


def _hinge_gradient(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    signs = 2 * targets - 1
    return np.minimum(signs * scores - 1, 0) * signs * (2 * weights)


def _logistic_second(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    if len(scores) > 1:
        return None
    shares = expit(scores)
    return weights * shares * (1 - shares)


def _hinge_second(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return 2 * weights * ((2 * targets - 1) * scores < 1)


# Of the second derivative of the softmax: Böhning 1992.
LOGISTIC = _Loss(_logistic_gradient, _logistic_second, (0.25, 0.5), True, np.logspace(-2, 2, 7))
HINGE = _Loss(_hinge_gradient, _hinge_second, (2.0, 2.0), False, np.logspace(-2, 1, 4))
ROUGH, FINE = 5e-4, 1e-7  # of all rows' losses, what a step may still take off: for a choice, for a result
STEPS, NEWTON_STEPS = 1000, 20  # at most


def _by_strength(rows: Rotated, loss: _Loss) -> Parts:
    """Return the linear classifier whose C has the least held-out log loss."""
    problems = _Problems(rows, loss)
    strengths = loss.strengths / rows.square
    start = np.zeros((problems.columns, problems.count, len(problems.bound)), problems.precision)
    best, worse, chosen = np.inf, 0, (1 / rows.square, start, problems.held_out(start), 1.0)
    ahead = start
    for strength in strengths if rows.tested.any() else ():
        point = problems.approach(strength, ahead, ROUGH)
        ahead, start = 2 * point - start, point  # along log C coefficients grow steadily
        scores = problems.held_out(start)
        steep = 1.0 if loss.calibrated else rows.steepness(scores)
        if (tried := rows.loss(scores * steep)) < best:
            best, worse, chosen = tried, 0, (strength, start, scores, steep)
        elif (worse := worse + 1) == 2:  # over C the loss has one valley
            break
    strength, start, scores, steep = chosen
    whole = _Problems(rows, loss, folds=False).solve(strength, start[:, -1:])[:, 0].T
    coefficients, bias = two_sided(whole[:-1]), two_sided(whole[-1:])[0]
    if not loss.calibrated and not rows.tested.any():
        steep = rows.steepness(rows.z @ coefficients + bias)
    return coefficients * steep, bias * steep, scores * steep, strength


class _Problems:
    """The same penalised problem on the training rows of every fold, unless `folds` is no, and on all rows.

    They are solved side by side, by accelerated gradient steps (Beck & Teboulle 2009) whose lengths are the
    bounds of the curvature: along principal axes these are the weighted sums of squares times that of the
    loss. The constant is not penalised. Folds only choose: single precision is enough for them.
    """

    def __init__(self, rows: Rotated, loss: _Loss, folds: bool = True):
        self.rows, self.loss = rows, loss
        self.precision = precision = np.dtype(np.float32 if folds else np.float64)
        masks = np.concatenate([rows.masks[: len(rows.masks) * folds], np.ones((1, len(rows.y)), bool)])
        self.count = len(masks)
        self.columns = 1 if rows.classes == 2 else rows.classes
        self.x = np.concatenate([rows.z, np.ones((len(rows.y), 1))], 1, dtype=precision)
        curvature = loss.curvature[self.columns > 1]
        self.bound = (np.append(rows.energy, rows.weights.sum()) * curvature).astype(precision)
        self.weights = (masks * rows.weights).astype(precision)
        labels = np.arange(rows.classes)[-self.columns :, None, None]
        self.targets = (rows.y == labels).astype(precision)

    def scores(self, point: np.ndarray) -> np.ndarray:
        """Return the scores, (columns, problems, n), of coefficients (columns, problems, r + 1)."""
        return (point.reshape(-1, point.shape[2]) @ self.x.T).reshape(*point.shape[:2], -1)

    def held_out(self, point: np.ndarray) -> np.ndarray:
        """Return the scores, (n, C), of rows by the problem that leaves them out; 0 where none does."""
        out, tested = np.zeros((len(self.x), self.columns)), np.flatnonzero(self.rows.tested)
        out[tested] = self.scores(point)[:, self.rows.folds[tested], tested].T
        return two_sided(out)

    def gradient(self, point: np.ndarray, penalty: np.ndarray) -> np.ndarray:
        """Return the gradient at coefficients (columns, problems, r + 1), in their shape."""
        slope = self.loss.gradient(self.scores(point), self.targets, self.weights)
        return (slope.reshape(-1, slope.shape[2]) @ self.x).reshape(point.shape) + penalty * point

    def approach(self, strength: float, start: np.ndarray, tolerance: float) -> np.ndarray:
        """Return the coefficients, (columns, problems, r + 1), at one C, by accelerated gradient steps."""
        penalty = self._penalty(strength)
        length = 1 / (self.bound + penalty)
        point, ahead, speed = start, start, 1.0
        for _ in range(STEPS):
            gradient = self.gradient(ahead, penalty)
            step = length * gradient
            following = ahead - step
            moved = following - point
            if np.vdot(gradient, moved) > 0:  # uphill: the momentum starts anew
                speed = 1.0
            faster = (1 + math.sqrt(1 + 4 * speed**2)) / 2
            ahead = following + ((speed - 1) / faster) * moved
            point, speed = following, faster
            if np.vdot(gradient, step) < tolerance:
                break
        return point

    def solve(self, strength: float, start: np.ndarray) -> np.ndarray:
        """Return the coefficients, (columns, problems, r + 1), at one C, to many digits.

        By Newton's method where columns do not depend on each other; a step that goes too far is halved.
        """
        penalty, point = self._penalty(strength), start.astype(self.precision)
        gradient = self.gradient(point, penalty)
        for _ in range(NEWTON_STEPS):
            second = self.loss.second(self.scores(point), self.targets, self.weights)
            if second is None:
                break
            curved = (second[:, :, None] * self.x.T) @ self.x
            curved[..., range(len(penalty)), range(len(penalty))] += np.maximum(penalty, 1e-9)
            step = np.linalg.solve(curved, gradient[..., None])[..., 0]
            gain = (gradient * step).sum(2, keepdims=True)
            if gain.sum() < FINE:
                return point
            share = np.ones(gain.shape)
            for _ in range(5):
                gradient = self.gradient(point - share * step, penalty)
                far = (gradient * step).sum(2, keepdims=True) < -0.9 * gain
                if not far.any():
                    break
                share[far] /= 2
            point = point - share * step
        return self.approach(strength, point, FINE)

    def _penalty(self, strength: float) -> np.ndarray:
        penalty = np.full(len(self.bound), 1 / strength, self.precision)
        penalty[-1] = 0
        return penalty
