"""Statistics over seeds: mean ± std, 95 % intervals, and each method's paired difference to a baseline.

Every method meets the same tasks, so methods are compared task by task: the spread between easy and
hard tasks, by far the largest one in few-shot work, cancels. Accuracies are in percent throughout.
SciPy is imported where it is used, so that importing this module costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np

from fewshot.errors import unknown
from fewshot.stats.intervals import WIDENED, Interval, Z, wilson

EXACT = 13  # pairs up to which p is exact in any case
ACCURACIES: Interval = (0.0, 100.0)
DIFFERENCES: Interval = (-100.0, 100.0)  # of two accuracies
WIDEST = 50.0  # percent: an interval that reaches further to each side says nothing
Metric = Literal["accuracy", "balanced_accuracy"]


class Measured(Protocol):
    """What statistics need of a trial; `fewshot.trials.record.Record` has it, and more.

    All measurements but `seconds` are None where `ok` is false.
    """

    @property
    def seed(self) -> int: ...

    @property
    def ok(self) -> bool: ...

    @property
    def accuracy(self) -> float | None: ...

    @property
    def balanced_accuracy(self) -> float | None: ...

    @property
    def seconds(self) -> float: ...

    @property
    def n_train(self) -> int | None: ...

    @property
    def updates(self) -> int | None: ...

    @property
    def images_seen(self) -> int | None: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def n_test(self) -> int | None: ...

    @property
    def n_pool(self) -> int | None: ...


R = TypeVar("R", bound=Measured)


@dataclass(frozen=True)
class Summary:
    """Mean, std (ddof = 1) and the 95 % interval of n values; None where there are too few for them."""

    n: int
    mean: float | None
    std: float | None
    ci95: Interval | None


@dataclass(frozen=True)
class Paired:
    """A method minus the baseline over their n shared seeds.

    `p` is the two-sided Wilcoxon signed-rank p (None below two pairs); `wins` counts the seeds on which
    the method is strictly better. `ci95` is None where too few pairs say nothing: see `summary`.
    """

    n: int
    mean: float | None
    std: float | None
    ci95: Interval | None
    p: float | None
    wins: int


@dataclass(frozen=True)
class MethodResult(Generic[R]):
    """One row of a report. Failed trials are counted in `failed` and enter nothing else but `records`.

    `mean`, `std`, `ci95` and `delta` are about `metric`, in percent. `delta.p` is corrected by Holm over
    the study's methods; `delta` is None for the baseline. `seconds`, `n_train`, `updates` and
    `images_seen` are means over the trials, None where none succeeded. `photos` is that of `photos_of`.
    """

    method: str
    metric: Metric
    n: int
    failed: int
    mean: float | None
    std: float | None
    ci95: Interval | None
    delta: Paired | None
    seconds: float | None
    n_train: int | None
    updates: int | None
    images_seen: int | None
    photos: int | None
    records: list[R]


def summary(values: Iterable[float], limits: Interval | None = None, photos: int | None = None) -> Summary:
    """Summarise the values of one method, one a seed: with the t interval of the mean.

    limits: what the mean can be, ACCURACIES or DIFFERENCES: the interval ends there, and there is none where
    it would reach further than WIDEST. photos: on how many held-out photos the values are counted; the
    interval is no narrower than so many allow, however much the draws agree. Where that is not known, values
    that are all equal have none.
    """
    values = np.asarray(list(values), float)
    n = len(values)
    if n == 0:
        return Summary(0, None, None, None)
    mean = float(values.mean())
    if n == 1:
        return Summary(1, mean, None, None)

    std = float(values.std(ddof=1))
    half = half_width(std, n)
    if limits is None:
        return Summary(n, mean, std, (mean - half, mean + half))
    if half > WIDEST or (std == 0 and not photos):
        return Summary(n, mean, std, None)
    low, high = mean - half, mean + half
    if photos:
        least = _least_interval(mean, limits, photos)
        low, high = min(low, least[0]), max(high, least[1])
    return Summary(n, mean, std, (max(limits[0], low), min(limits[1], high)))


def _least_interval(mean: float, limits: Interval, photos: int) -> Interval:
    """Return the interval of an accuracy, or of a difference, that so many photos allow at best.

    That two methods agreed on all of them is no certainty that they always will: they may differ on the next.
    """
    if limits == ACCURACIES:
        return wilson(mean / 100, photos / WIDENED)
    half = 100 * Z * WIDENED**0.5 / photos
    return mean - half, mean + half


def photos_of(records: Iterable[Measured], seeds: Container[int] | None = None) -> int | None:
    """Return on how many different photos draws were measured; None where a record does not say it.

    seeds: the draws that count; all if None.

    Draws hold out from the same photos of a class, whatever the other classes: of a small folder, the same
    ones again and again. A record says how many photos its classes have together: each is taken to have as
    many, and, where records differ in that, the fewest.
    """
    held_out: dict[str, float] = {}
    pools: dict[str, float] = {}
    for record in _succeeded(records):
        if seeds is not None and record.seed not in seeds:
            continue
        if record.n_test is None or record.n_pool is None:
            return None
        for name in record.classes:
            pool = record.n_pool / len(record.classes)
            held_out[name] = held_out.get(name, 0.0) + record.n_test / len(record.classes)
            pools[name] = min(pool, pools.get(name, pool))
    return round(sum(min(count, pools[name]) for name, count in held_out.items()))


def half_width(std: float, n: int, level: float = 0.95) -> float:
    """Return half of the width of the t interval of a mean of n values, two or more."""
    from scipy.special import stdtrit  # what scipy.stats.t.ppf calls; that module takes a second to import

    return float(stdtrit(n - 1, (1 + level) / 2)) * std / n**0.5


def paired(values: Mapping[int, float], baseline: Mapping[int, float], photos: int | None = None) -> Paired:
    """Compare two methods, each given as seed → accuracy, on the seeds that both have.

    photos: on how many held-out photos, as for `summary`.
    """
    seeds = sorted(values.keys() & baseline.keys())
    # 71.3 - 70.2 and 61.3 - 60.2 are the same difference: float noise must not break their tie.
    differences = np.round([values[seed] - baseline[seed] for seed in seeds], 9)
    s = summary(differences, DIFFERENCES, photos)
    p = _signed_rank_p(differences) if s.std is not None else None
    return Paired(s.n, s.mean, s.std, s.ci95, p, int((differences > 0).sum()))


def _signed_rank_p(differences: np.ndarray) -> float:
    """Return SciPy's two-sided p: exact up to 50 pairs, with ties or zeros up to 13, else approximate."""
    if not differences.any():
        return 1.0

    if len(differences) > EXACT:
        from scipy.stats import wilcoxon

        return float(wilcoxon(differences).pvalue)
    # SciPy would go through all sign patterns, for seconds where there are ties. Counted instead: in how many
    # of them the doubled ranks, which are whole, of the positive differences have each sum.
    changed = differences[differences != 0]
    _, value, ties = np.unique(np.abs(changed), return_inverse=True, return_counts=True)
    ranks = (2 * np.cumsum(ties) - ties + 1)[value]
    patterns = np.ones(1)
    for rank in ranks:
        patterns = np.pad(patterns, (0, rank)) + np.pad(patterns, (rank, 0))
    positive = ranks[changed > 0].sum()
    tail = min(patterns[: positive + 1].sum(), patterns[positive:].sum())
    return float(min(1.0, 2 * tail / patterns.sum()))


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p values after Holm's step-down correction, in the order given."""
    corrected = [0.0] * len(ps)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = highest
    return corrected


def needed_pairs(methods: int, level: float = 0.05) -> int:
    """Return the least number of pairs with which p can be at most `level` after Holm (see `least_p`)."""
    return next(n for n in range(2, 100) if least_p(n, methods) <= level)


def least_p(n: int, methods: int) -> float:
    """Return the least p that n pairs can reach after Holm over `methods` comparisons.

    The signed-rank test gives 2 / 2ⁿ when one method wins every pair; Holm multiplies the smallest p by
    the number of comparisons.
    """
    return min(1.0, methods * 2 / 2**n)


def analyse(
    records_by_method: Mapping[str, Sequence[R]], baseline: str, metric: Metric = "accuracy"
) -> list[MethodResult[R]]:
    """Return one result a method, in the order given.

    `metric` is the records' field to compare, "accuracy" or "balanced_accuracy". Raises UsageError if
    the baseline is not among the methods.
    """
    if baseline not in records_by_method:
        raise unknown("baseline", baseline, records_by_method)
    scores = {
        method: {record.seed: getattr(record, metric) for record in _succeeded(records)}
        for method, records in records_by_method.items()
    }
    photos = {method: photos_of(records) for method, records in records_by_method.items()}
    deltas = {
        method: paired(values, scores[baseline], photos_of(records_by_method[method], scores[baseline]))
        for method, values in scores.items()
        if method != baseline
    }
    tested = {method: delta.p for method, delta in deltas.items() if delta.p is not None}
    for method, p in zip(tested, holm(list(tested.values())), strict=True):
        deltas[method] = replace(deltas[method], p=p)
    return [
        _result(
            method,
            metric,
            list(records),
            summary(scores[method].values(), ACCURACIES, photos[method]),
            deltas.get(method),
            photos[method],
        )
        for method, records in records_by_method.items()
    ]


def _result(
    method: str, metric: Metric, records: list[R], s: Summary, delta: Paired | None, photos: int | None
) -> MethodResult[R]:
    succeeded = _succeeded(records)

    def mean(field: str) -> float | None:
        return summary(getattr(record, field) for record in succeeded).mean

    def count(field: str) -> int | None:
        value = mean(field)
        return None if value is None else round(value)

    return MethodResult(
        method=method,
        metric=metric,
        n=s.n,
        failed=len(records) - len(succeeded),
        mean=s.mean,
        std=s.std,
        ci95=s.ci95,
        delta=delta,
        seconds=mean("seconds"),
        n_train=count("n_train"),
        updates=count("updates"),
        images_seen=count("images_seen"),
        photos=photos,
        records=records,
    )


def _succeeded(records: Iterable[R]) -> list[R]:
    return [record for record in records if record.ok]
