"""Choosing a winner honestly: some draws choose, the others say how good the chosen one is.

The best of many means is too good: whoever wins has had some luck on the draws that made it win. So draws
alternate: the first, third, … choose; the second, fourth, … give the accuracy and the interval that are
reported, of the method that was chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.stats.comparison import Paired, Summary, half_width, paired, summary

LEAST_DRAWS = 5  # before a method may be stopped
CLEAR = 3  # choosing draws at least, for an interval
SURE = 0.99  # of the interval that stops a method: one looks after every draw, and each look may be unlucky

# A method's scores: draw number (from 0) → accuracy in percent.
Scores = Mapping[int, float]


@dataclass(frozen=True)
class Pool:
    """The images that all draws are of, as far as draws are alike for it.

    overlap: as in `fewshot.stats.comparison.summary`. images: how many there are.
    """

    overlap: float
    images: int

    def bound(self, accuracies: Sequence[float]) -> float:
        """Return the variance, in percent², that an accuracy has by the choice of the pool's images."""
        mean = float(np.mean(accuracies)) if accuracies else 50.0
        return mean * (100 - mean) / self.images


APART = Pool(0.0, 1)  # draws that share no images, or next to none


@dataclass(frozen=True)
class Standing:
    """One method's place: on the reporting draws, and against the leader on those.

    stopped: after how many draws it was stopped, None where it ran to the end.
    """

    method: str
    draws: int
    accuracy: Summary
    to_winner: Paired | None
    stopped: int | None


def choosing(scores: Scores) -> dict[int, float]:
    """Return the scores of the draws that choose: the first, the third, …"""
    return {draw: score for draw, score in scores.items() if draw % 2 == 0}


def reporting(scores: Scores) -> dict[int, float]:
    """Return the scores of the draws that are reported: the second, the fourth, …"""
    return {draw: score for draw, score in scores.items() if draw % 2 == 1}


def leader(scores: Mapping[str, Scores]) -> str | None:
    """Return the method with the best mean on the choosing draws, among those with the most of these."""
    counts = {method: len(choosing(of_method)) for method, of_method in scores.items()}
    most = max(counts.values(), default=0)
    if not most:
        return None
    means = {
        method: float(np.mean(list(choosing(scores[method]).values())))
        for method, count in counts.items()
        if count == most
    }
    return max(means, key=means.__getitem__)


def hopeless(scores: Mapping[str, Scores], active: Sequence[str]) -> list[str]:
    """Return the active methods to stop: their interval to the leader lies wholly below 0.

    Only choosing draws decide, so that the reported ones stay untouched by it. The interval speaks of these
    images alone: it decides where time goes, not what is said in the end.
    """
    best = leader({method: scores[method] for method in active})
    if best is None:
        return []
    stopped = []
    for method in active:
        if method == best or len(scores[method]) < LEAST_DRAWS:
            continue
        delta = paired(choosing(scores[method]), choosing(scores[best]))
        if delta.n < CLEAR or delta.mean is None or delta.std is None:
            continue
        if delta.mean + half_width(delta.std, delta.n, SURE) < 0:
            stopped.append(method)
    return stopped


def standings(scores: Mapping[str, Scores], stopped: Mapping[str, int], pool: Pool = APART) -> list[Standing]:
    """Return the methods, the winner first, the others by their mean on the choosing draws.

    None of them where no trial on these succeeded. pool: what all draws are of.
    """
    winner = leader({method: of_method for method, of_method in scores.items() if method not in stopped})
    if winner is None:
        return []

    def row(method: str) -> Standing:
        reported, winners = reporting(scores[method]), reporting(scores[winner])
        bounds = [pool.bound(list(values.values())) for values in (reported, winners)]
        return Standing(
            method,
            draws=len(scores[method]),
            accuracy=summary(reported.values(), pool.overlap, bounds[0]),
            to_winner=None if method == winner else paired(reported, winners, pool.overlap, sum(bounds)),
            stopped=stopped.get(method),
        )

    def order(method: str) -> tuple[bool, float]:
        choices = list(choosing(scores[method]).values())
        return method != winner, -float(np.mean(choices)) if choices else np.inf

    return [row(method) for method in sorted((m for m in scores if scores[m]), key=order)]


def verdict(table: Sequence[Standing]) -> str:
    """Return in plain words what to use, and which methods are distinguishable from it."""
    first, *others = table
    mean = first.accuracy
    if mean.mean is None:
        return f"Use {first.method}: it led on the one draw that there was time for; ask for a longer budget."
    spread = f" ± {mean.std:.1f} over {mean.n} draws" if mean.std is not None else " on one draw"
    interval = f", 95 % interval of the mean {mean.ci95[0]:.1f}–{mean.ci95[1]:.1f}" if mean.ci95 else ""
    lines = [f"Use {first.method}: {mean.mean:.1f} %{spread}{interval}."]
    doubtful = [s for s in others if s.stopped is not None and _above(s.to_winner)]
    worse = [s for s in others if _below(s.to_winner)]
    behind = [s for s in others if s.stopped is not None and s not in [*worse, *doubtful]]
    ahead = [s for s in others if s.stopped is None and s.to_winner and (s.to_winner.ci95 or (0,))[0] > 0]
    equal = [s.method for s in others if s not in [*worse, *behind, *doubtful, *ahead]]
    if equal:
        lines.append(f"Not distinguishable from it: {', '.join(equal)}.")
    if ahead:
        named = (f"{s.method} ({s.to_winner.mean:+.1f})" for s in ahead if s.to_winner)
        lines.append(
            f"Ahead on the reporting draws, though not on those that choose: {', '.join(named)}; "
            "ask for a longer budget."
        )
    if worse:
        lines.append(f"Worse: {', '.join(s.method for s in worse)}.")
    if behind:
        named = (f"{s.method} (after {s.stopped} draws)" for s in behind)
        lines.append(f"Stopped early, behind on the choosing draws: {', '.join(named)}.")
    if doubtful:
        named = (f"{s.method} (after {s.stopped} draws)" for s in doubtful)
        lines.append(
            f"Stopped on the choosing draws, but no worse on the reporting ones: {', '.join(named)}; "
            "a longer budget for these alone tells more."
        )
    return " ".join(lines)


def extrapolate(curve: Mapping[int, float], further: int = 50) -> tuple[float, float] | None:
    """Return how many points `further` images a class would bring, and the exponent of the law behind it.

    curve: shots → mean accuracy in percent. Errors fall about as a power of the number of images (Hestness
    et al., arXiv 1712.00409): fitted to logarithms, and extrapolated from the largest number of shots. None
    where there are fewer than three points, or the errors do not fall.
    """
    shots = np.array(sorted(curve), float)
    errors = np.maximum(100 - np.array([curve[int(n)] for n in shots]), 0.05)
    if len(shots) < 3:
        return None
    slope, level = np.polyfit(np.log(shots), np.log(errors), 1)
    if slope >= 0:
        return None
    now, then = (np.exp(level + slope * np.log(n)) for n in (shots[-1], shots[-1] + further))
    return float(now - then), float(-slope)


def _above(delta: Paired | None) -> bool:
    return bool(delta and delta.mean is not None and delta.mean >= 0)


def _below(delta: Paired | None) -> bool:
    return bool(delta and delta.ci95 and delta.ci95[1] < 0)
