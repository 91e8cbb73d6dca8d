"""The answer: which strategy to use, how the others stand beside it, and what it promises of new photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fewshot.compare.held_out import HeldOut, counted
from fewshot.compare.tournament import Tournament
from fewshot.methods.catalogue import methods
from fewshot.report.comparison import Row
from fewshot.stats.choice import DRAWS, Choice, choose
from fewshot.stats.intervals import Estimate
from fewshot.stats.promise import Promise, promise
from fewshot.trials.record import Record

CLOSE = 10.0  # points: who may be worse by so much is not called as good


@dataclass(frozen=True)
class Answer:
    """What a tournament says.

    Parameters
    ----------
    rows
        The strategies, the winner first, then from the best to the worst.
    winner
        The name of the strategy to use; None where too little was held out to name one.
    said
        Strategy → what it said of the held-out images.
    promise
        What the winner promises of new photos; None where draws differ in their classes.
    accuracy
        The winner's, corrected for having been chosen.
    """

    rows: tuple[Row, ...]
    winner: str | None
    said: Mapping[str, HeldOut]
    promise: Promise | None
    accuracy: Estimate | None


def answer_of(tournament: Tournament, error_ratio: float = 1.0) -> Answer:
    """Return what a tournament says by now.

    error_ratio: the error of the winner trained on all images over that on a draw's, as for `promise`.
    """
    said = tournament.held_out()
    choice = _choice(tournament, said)
    if choice is None:
        return Answer(_rows(tournament, said, None, None), None, said, None, None)
    told = None
    if tournament.pool.same_classes:
        asked = counted(said[choice.winner], tournament.pool)
        told = promise(*asked, error_ratio, tournament.pool.prior)
    accuracy = _with_all(choice.accuracy, error_ratio)
    return Answer(_rows(tournament, said, choice, accuracy), choice.winner, said, told, accuracy)


def is_behind(tournament: Tournament, method: str) -> bool:
    """Tell whether a strategy is clearly worse than the best on what both were asked about."""
    choice = _choice(tournament, tournament.held_out())
    if choice is None or method not in choice.differences:
        return False
    interval = choice.differences[method].interval
    return interval is not None and interval[1] < 0


def _choice(tournament: Tournament, said: Mapping[str, HeldOut]) -> Choice | None:
    """Return who is chosen: on photos where all draws have the same classes, on whole draws elsewhere."""
    if not said:
        return None
    if tournament.pool.same_classes:
        labels = np.max([of_one.labels for of_one in said.values()], 0)
        if tournament.pool.prior == "natural":  # every photo counts alike: they are as one class
            labels = np.zeros_like(labels)
        return choose(
            {name: of_one.correct() for name, of_one in said.items()}, labels, tournament.pool.groups
        )
    draws = sorted({draw for by_draw in tournament.records.values() for draw in by_draw})
    scores = {
        name: np.array([_accuracy(by_draw.get(draw)) for draw in draws])
        for name, by_draw in tournament.records.items()
    }
    return choose(scores, np.full(len(draws), DRAWS), np.arange(len(draws)))


def _accuracy(record: Record | None) -> float:
    """Return the balanced accuracy of a draw, from 0 to 1; NaN where there is none."""
    if record is None or record.balanced_accuracy is None:
        return np.nan
    return record.balanced_accuracy / 100


def _with_all(accuracy: Estimate, error_ratio: float) -> Estimate:
    """Return the accuracy of training on all images."""

    def better(value: float) -> float:
        return 100 - error_ratio * (100 - value)

    low, high = accuracy.interval or (0.0, 0.0)
    interval = (better(low), better(high)) if accuracy.interval else None
    return replace(accuracy, value=better(accuracy.value), interval=interval)


def _rows(
    tournament: Tournament, said: Mapping[str, HeldOut], choice: Choice | None, accuracy: Estimate | None
) -> tuple[Row, ...]:
    """Return the table: the winner first, then from the best to the worst on what they share with it.

    accuracy: the winner's, less the luck of the choice.
    """
    rows = []
    for name, by_draw in tournament.records.items():
        delta = choice.differences.get(name) if choice else None
        rows.append(
            Row(
                method=name,
                stage=tournament.stages[name],
                draws=sum(record.ok for record in by_draw.values()),
                photos=int(said[name].tested.sum()) if name in said else 0,
                accuracy=_accuracy_of(name, choice, accuracy),
                to_winner=delta,
                standing=_standing(name, choice, delta),
                seconds=tournament.costs[name],
                what=methods.summary_of(name),
            )
        )
    return tuple(sorted(rows, key=_order))


def _accuracy_of(name: str, choice: Choice | None, winners: Estimate | None) -> Estimate | None:
    if choice is None:
        return None
    return winners if name == choice.winner else choice.accuracies.get(name)


def _standing(name: str, choice: Choice | None, delta: Estimate | None) -> str:
    if choice is not None and name == choice.winner:
        return "winner"
    if delta is None or delta.interval is None:
        return "unclear"
    low, high = delta.interval
    if high < 0 or low > 0:
        return "worse" if high < 0 else "ahead"
    return "alike" if low > -CLOSE else "unclear"


def _order(row: Row) -> tuple[bool, float]:
    return row.standing != "winner", -row.to_winner.value if row.to_winner else np.inf
