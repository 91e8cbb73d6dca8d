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

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, log_softmax, softmax

from fewshot.seeding import rng

FOLDS = 5  # at most
PENALTIES = np.logspace(-3, 3, 25)  # of ridge regression, in mean squared lengths of a row
STEEPNESS = np.linspace(-2, 3, 21)  # log10 of what scores, of mean square 1, are multiplied by
MANY = 1000  # rows or features: with more than so many, axes and covariances are computed in single precision
RELATIVE = 1e-11, 1e-7  # eigenvalues below this share of the largest are rounding, in double and in single
SHRUNK = 1e-3  # of squared shifts, beside the log loss: finite, however well photos are told apart


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


def fit_head(name: str, rows: "Rotated") -> FittedHead:
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


class Rotated:
    """Training rows in the coordinates of their principal axes, with all that heads need to know of them.

    z: float64 (n, r), r ≤ n, weighted mean 0. energy: (r,), the weighted sums of their squares. precision:
    what is good enough for covariances of so many.
    y: int (n,), every class from 0 to `classes` − 1 at least once. weights: (n,), above 0, such that classes
    weigh alike, unless they are given; total: their sum. uneven: whether classes have unequal numbers of
    rows. groups: int (n,), the photo or group of near-duplicates that a row is of. folds: int (n,), which
    fold holds a row out; −1 for none.
    """

    def __init__(
        self,
        rows: np.ndarray,
        y: np.ndarray,
        groups: np.ndarray,
        folds: np.ndarray,
        weights: np.ndarray | None = None,
    ):
        self.y, self.groups, self.folds = y, groups, folds
        counts = np.bincount(y)
        self.classes = len(counts)
        self.weights = len(y) / (self.classes * counts[y]) if weights is None else weights
        self.total = len(y) if weights is None else weights.sum()
        self.uneven = len(set(counts.tolist())) > 1
        self.width = rows.shape[1]
        self._mean = self.weights @ rows / self.total
        self._centred = rows - self._mean
        root = np.sqrt(self.weights)[:, None]
        weighted = self._centred * root
        tall = len(rows) > self.width
        many = min(rows.shape) > MANY
        self.precision = precision = np.dtype(np.float32 if many else np.float64)
        if tall:
            weighted = weighted.astype(precision, copy=False)
        gram = weighted.T @ weighted if tall else weighted @ weighted.T
        energy, axes = np.linalg.eigh(gram.astype(precision, copy=False))
        real = energy > max(energy[-1] * RELATIVE[many], 1e-20)
        self.energy, axes = energy[real].astype(np.float64), axes[:, real]
        # Axes that are a little off are axes, too: only the lengths along them have to be right.
        if tall:
            self._axes = axes.astype(np.float64)
            self.z = (self._centred.astype(precision, copy=False) @ axes).astype(np.float64, copy=False)
            if many:
                self.energy = self.weights @ np.square(self.z)
        else:
            self._axes = None
            axes = axes.astype(np.float64)
            if many:
                along = gram @ axes
                self.energy = np.maximum((axes * along).sum(0), 1e-20)
            self._left = axes * root / np.sqrt(self.energy)
            self.z = (along / np.sqrt(self.energy) if many else axes * np.sqrt(self.energy)) / root

    @property
    def square(self) -> float:
        """The mean squared length of a row: what penalties count in."""
        return self.energy.sum() / self.total

    @cached_property
    def tested(self) -> np.ndarray:
        """Whether a fold holds a row out, bool (n,)."""
        return self.folds >= 0

    @cached_property
    def masks(self) -> np.ndarray:
        """Which rows each fold trains on, bool (folds, n)."""
        return self.folds != np.arange(self.folds.max() + 1)[:, None]

    @cached_property
    def photos(self) -> int:
        """How many groups the smallest class has."""
        return min(len(np.unique(self.groups[self.y == label])) for label in range(self.classes))

    def back(self, coefficients: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel (D, C) and bias on rows as they came, of those on rotated ones."""
        if self._axes is not None:
            kernel = self._axes @ coefficients
        else:
            kernel = self._centred.T @ (self._left @ coefficients)
        return kernel, bias - self._mean @ kernel

    def loss(self, scores: np.ndarray) -> float:
        """Return the mean log loss of held-out scores, (n, C), classes weighing alike."""
        right = log_softmax(scores, 1)[np.arange(len(self.y)), self.y]
        return -np.average(right[self.tested], weights=self.weights[self.tested])

    def steepness(self, scores: np.ndarray) -> float:
        """Return the factor of scores with the least log loss of held-out rows.

        Nobody is ever quite sure (Platt 1999): of k photos a class, one more of every other is imagined.
        """
        if not self.tested.any():
            return 1 / max(np.abs(scores).mean(), 1e-12)
        scores, targets, weights = self.held_out(scores)
        unit = np.sqrt(np.square(scores).mean()) or 1.0
        scores = (scores - scores.max(1, keepdims=True)) / unit
        aim = (targets * scores).sum(1) @ weights
        logs = STEEPNESS
        for _ in range(2):  # the loss is convex: coarsely, then between the neighbours of the best
            factors = 10.0**logs
            sums = np.log(np.exp(factors[:, None, None] * scores).sum(2)) @ weights
            best = logs[(sums - factors * aim).argmin()]
            logs = best + np.linspace(-0.25, 0.25, 11)
        return 10.0**best / unit

    def held_out(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return held-out scores, what they are to say, (n, C) each, and what each row counts, 1 in all."""
        scores, y = scores[self.tested], self.y[self.tested]
        weights = self.weights[self.tested] / self.weights[self.tested].sum()
        return scores, doubtful(y, self.classes, self.photos), weights


def correction(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return factor and shift, (C,), of scores of held-out rows, (n, C), with the least log loss.

    targets: (n, C), what they are to say. weights: (n,), what each row counts, 1 in all.
    """
    from scipy.optimize import minimize

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        factor, shift = np.exp(parameters[0]), parameters[1:]
        logs = log_softmax(factor * scores + shift, 1)
        slope = weights[:, None] * (np.exp(logs) - targets)
        value = -float(weights @ (targets * logs).sum(1)) + SHRUNK * shift @ shift
        gradient = slope.sum(0) + 2 * SHRUNK * shift
        return value, np.append(factor * (slope * scores).sum(), gradient)

    solution = minimize(loss, np.zeros(1 + scores.shape[1]), jac=True, method="L-BFGS-B").x
    return float(np.exp(solution[0])), solution[1:]


def doubtful(y: np.ndarray, classes: int, photos: int) -> np.ndarray:
    """Return what scores are to say of classes, (n, C), where the smallest has so many photos.

    Nobody is ever quite sure (Platt 1999): of k photos a class, one more of every other is imagined.
    """
    doubt = 1 / (photos + 2)
    targets = np.full((len(y), classes), doubt / (classes - 1))
    targets[np.arange(len(y)), y] = 1 - doubt
    return targets


Parts = tuple[np.ndarray, np.ndarray, np.ndarray, float | None]  # coefficients, bias, scores held out, chosen


def _two_sided(scores: np.ndarray) -> np.ndarray:
    """Return one column a class, of one for two classes."""
    return np.concatenate([-scores, scores], -1) / 2 if scores.shape[-1] == 1 else scores


def ridge(rows: Rotated) -> Parts:
    """Regression of ±1 with the penalty whose leave-one-photo-out error is least."""
    penalties = PENALTIES * rows.square
    aims, answers, kept, wrong = _left_out(rows, penalties)
    root = np.sqrt(rows.weights)[:, None]
    best = np.square(wrong).mean((1, 2)).argmin()
    held_out = _two_sided((aims - wrong[best]) / root)
    coefficients = kept[best][:, None] * answers / np.sqrt(rows.energy)[:, None]
    bias = (rows.weights @ (aims / root)) / rows.weights.sum()
    steep = rows.steepness(held_out)
    coefficients, bias = _two_sided(coefficients) * steep, _two_sided(bias) * steep
    return coefficients, bias, held_out * steep, penalties[best]


def ridge_held_out(rows: Rotated, penalty: float) -> np.ndarray:
    """Return scores (n, C) of ridge regression of ±1 with a penalty, of each photo by all the others."""
    aims, _, _, wrong = _left_out(rows, np.array([penalty]))
    return _two_sided((aims - wrong[0]) / np.sqrt(rows.weights)[:, None])


def _left_out(rows: Rotated, penalties: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what ridge regression is to say, and by how much it is wrong of photos that it has not seen.

    aims: (n, targets), ±1 times the roots of the weights. answers: (r, targets), the aims along the axes.
    kept: (penalties, r), how much of these is left. wrong: (penalties, n, targets).
    """
    root = np.sqrt(rows.weights)[:, None]
    targets = 2.0 * (rows.y[:, None] == np.arange(rows.classes)) - 1
    targets = targets[:, 1:] if rows.classes == 2 else targets
    constant = root / np.linalg.norm(root)
    left = rows.z * root / np.sqrt(rows.energy)  # orthonormal, and orthogonal to the constant
    aims = targets * root
    answers, mean = left.T @ aims, constant.T @ aims
    kept = rows.energy / (rows.energy + penalties[:, None])  # (penalties, r)
    rest = aims - constant @ mean - left @ (kept[:, :, None] * answers)  # (penalties, n, targets)
    wrong = np.empty_like(rest)
    for positions in _by_size(rows.groups):  # (groups, size)
        size = positions.shape[1]
        if size == 1:
            row = positions[:, 0]
            hat = np.square(left[row]) @ kept.T + np.square(constant[row])
            errors = rest[:, row] / np.maximum(1 - hat.T, 1e-10)[:, :, None]
            wrong[:, row] = errors
            continue
        part, ones = left[positions], constant[positions]
        shared = ones @ ones.swapaxes(1, 2)
        for penalty, share in enumerate(kept):
            hat = (part * share) @ part.swapaxes(1, 2) + shared
            errors = np.linalg.solve(np.eye(size) * (1 + 1e-10) - hat, rest[penalty, positions])
            wrong[penalty, positions] = errors
    return aims, answers, kept, wrong


def _by_size(groups: np.ndarray) -> list[np.ndarray]:
    """Return the positions of the groups' members, (groups, size), an array for each size."""
    _, number, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(number, kind="stable")
    starts = np.cumsum(counts) - counts
    return [
        order[starts[counts == size][:, None] + np.arange(size)]
        for size in np.flatnonzero(np.bincount(counts))
    ]


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
    coefficients, bias = _two_sided(whole[:-1]), _two_sided(whole[-1:])[0]
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
        return _two_sided(out)

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


def discriminant(rows: Rotated) -> Parts:
    """Linear discriminant analysis with equal priors and a shrunk within-class covariance."""
    scores = np.zeros((len(rows.y), rows.classes))
    for fold, mask in enumerate(rows.masks):
        coefficients, bias = _discriminant(rows, mask)
        out = rows.folds == fold
        scores[out] = rows.z[out] @ coefficients + bias
    coefficients, bias = _discriminant(rows, np.ones(len(rows.y), bool))
    steep = rows.steepness(scores if rows.tested.any() else rows.z @ coefficients + bias)
    return coefficients * steep, bias * steep, scores * steep, None


def _class_means(rows: Rotated, mask: np.ndarray) -> np.ndarray:
    """Return the weighted means of the classes, (C, r), of the rows in the mask."""
    members = (rows.y[mask] == np.arange(rows.classes)[:, None]) * rows.weights[mask]
    members /= members.max(1, keepdims=True)  # equal ones are 1: the mean of one row is that row, exactly
    return members @ rows.z[mask] / members.sum(1, keepdims=True)


def _discriminant(rows: Rotated, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    means, y, weights = _class_means(rows, mask), rows.y[mask], rows.weights[mask]
    sums = np.bincount(y, weights)
    # Of unequal weights as many rows count as of equal ones would tell as much (Kish 1965).
    n = (sums**2 / np.bincount(y, weights**2)).sum()
    within = (rows.z[mask] - means[y]) * np.sqrt(n * weights / (rows.classes * sums[y]))[:, None]
    covariance, floor = shrunk_covariance(within.astype(rows.precision, copy=False), rows.width, n)
    if floor <= 0:  # one photo a class: nothing varies within
        covariance, floor = np.zeros_like(covariance), rows.square
    covariance.flat[:: len(covariance) + 1] += floor
    from scipy.linalg import cho_factor, cho_solve

    coefficients = cho_solve(cho_factor(covariance, check_finite=False), means.T, check_finite=False)
    return coefficients, -0.5 * (means.T * coefficients).sum(0)


def shrunk_covariance(rows: np.ndarray, width: int, n: float) -> tuple[np.ndarray, float]:
    """Return the covariance of rows of mean 0, times 1 less the shrinkage, and what its diagonal gets.

    n: how many rows there are, those of unequal weights told by what they are worth.

    As `sklearn.covariance.ledoit_wolf(…, assume_centered=True)` for the rows before they were rotated into
    fewer dimensions than `width`: what it shrinks to is the mean variance of `width` features.
    """
    covariance = rows.T @ rows / n
    total, squares = np.trace(covariance), np.square(covariance).sum()
    mean = total / width
    fourth = np.square(np.square(rows).sum(1)).sum()
    noise = (fourth / n - squares) / n / width
    distance = (squares - 2 * mean * total + width * mean**2) / width
    shrinkage = min(noise, distance) / distance if distance > 0 and noise > 0 else 0.0
    return (1 - shrinkage) * covariance, shrinkage * mean


def centroid(rows: Rotated) -> Parts:
    """The nearest class mean; how fast probabilities fall with distance follows from photos held out."""

    def nearest(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        means = _class_means(rows, mask)
        return 2 * means.T, -np.square(means).sum(1)

    scores = np.zeros((len(rows.y), rows.classes))
    for fold, mask in enumerate(rows.masks):
        coefficients, bias = nearest(mask)
        out = rows.folds == fold
        scores[out] = rows.z[out] @ coefficients + bias
    coefficients, bias = nearest(np.ones(len(rows.y), bool))
    steep = rows.steepness(scores if rows.tested.any() else rows.z @ coefficients + bias)
    return coefficients * steep, bias * steep, scores * steep, None


HEADS: dict[str, Callable[[Rotated], Parts]] = {
    "ridge-gcv": ridge,
    "logistic-cv": logistic,
    "lda": discriminant,
    "svm": machine,
    "centroid": centroid,
}


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
