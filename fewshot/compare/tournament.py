"""A tournament: strategies on the same draws, within a budget of time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fewshot.data import Splits
from fewshot.data.protocols import Protocol
from fewshot.report.comparison import columns
from fewshot.report.table import aligned
from fewshot.stats import selection
from fewshot.trials.record import Record
from fewshot.trials.store import Store
from fewshot.trials.testbed import Processes, Trial, run

DRAWING = 0.65  # the share of the budget after which draws end
SLACK = 1.2  # how much longer things may take than they did
START_UP = 15.0  # seconds before the first trial ends


@dataclass(frozen=True)
class Clock:
    """The budget in seconds, and when it began."""

    budget: float
    begin: float

    def left(self, share: float = 1.0) -> float:
        """Return the seconds until a share of the budget is gone."""
        return self.begin + share * self.budget - time.monotonic()


class Comparison:
    """Strategies on the same draws: who is in, what each scored on each draw, and what a trial costs."""

    def __init__(
        self,
        strategies: Mapping[str, tuple[str, float]],
        trial_of: Callable[[str, int], Trial],
        jobs: int,
        clock: Clock,
        pool: selection.Pool = selection.APART,
    ):
        self._trial_of, self._jobs, self._clock, self._pool = trial_of, jobs, clock, pool
        self.costs = {name: cost for name, (_, cost) in strategies.items()}
        self.active = self._planned()
        self.records: dict[str, dict[int, Record]] = {name: {} for name in self.active}
        self.stopped: dict[str, int] = {}

    def _planned(self) -> list[str]:
        """Return the strategies, cheapest first, of which enough draws fit into the budget."""
        ordered = sorted(self.costs, key=self.costs.get)
        room = self._clock.left(DRAWING) * self._jobs / SLACK
        planned, total = [], START_UP * self._jobs
        for name in ordered:
            total += selection.LEAST_DRAWS * self.costs[name]
            if total > room:
                break
            planned.append(name)
        return planned

    @property
    def scores(self) -> dict[str, dict[int, float]]:
        """Return method → draw → accuracy, failed trials left out."""
        return {
            name: {draw: r.accuracy for draw, r in own.items() if r.ok} for name, own in self.records.items()
        }

    def least(self) -> float:
        """Return the seconds that the cheapest strategy's draws take, start-up with it."""
        return SLACK * (START_UP + selection.LEAST_DRAWS * min(self.costs.values()) / self._jobs) / DRAWING

    def draw(self, number: int, store: Store, show) -> bool:
        """Run all active strategies on one more draw; return False where the time left is too short.

        Before that, the dearest ones drop out, as long as they do not lead.
        """
        while number and self._expected() > self._clock.left(DRAWING):
            dearest = max(self.active, key=self.costs.get)
            if len(self.active) == 1 or dearest == selection.leader(self.scores):
                return False
            self.active.remove(dearest)
        trials = [self._trial_of(name, number) for name in self.active]
        for name, record in zip(self.active, run(trials, store, Processes(self._jobs), show), strict=True):
            self.records[name][number] = record
        for name in self.active:
            self.costs[name] = float(np.median([r.seconds for r in self.records[name].values()]))
        for name in selection.hopeless(self.scores, self.active):
            self.stopped[name] = len(self.records[name])
        self.active = [name for name in self.active if name not in self.stopped]
        return True

    def _expected(self) -> float:
        """Return the seconds that one more draw would take."""
        costs = [self.costs[name] for name in self.active]
        return max(sum(costs) / self._jobs, max(costs)) * SLACK

    def failure(self) -> str:
        """Return why the last failed trial failed."""
        reasons = [r.reason for own in self.records.values() for r in own.values() if r.reason]
        return reasons[-1] if reasons else ""

    def leaderboard(self) -> list[str]:
        """Return the lines of the table of all methods."""
        return aligned(columns(self.standings(), self.costs))

    def standings(self) -> list[selection.Standing]:
        """Return the methods, the winner first."""
        return selection.standings(self.scores, self.stopped, self._pool)


def pool(protocol: Protocol, splits: Splits) -> selection.Pool:
    """Return what draws share: the images that they hold out over all others of their classes.

    Nothing where draws differ in their classes, and where one test part is held out: means then speak of it.
    """
    labels, _, held_out, part = protocol.positions(splits, 0)
    if part != "train" or not np.array_equal(labels, protocol.positions(splits, 1)[0]):
        return selection.APART
    images = int(np.isin(splits.train.y, labels).sum())
    return selection.Pool(len(held_out) / (images - len(held_out)), images)


def hard_images(records: Mapping[str, Mapping[int, Record]], store: Store) -> list[tuple[int, str, int]]:
    """Return the held-out images that every method gets wrong in most draws: position, part, its answer.

    The answer is the class that the methods give most often. An image counts once it was held out twice.
    """
    votes: dict[tuple[int, str], dict[str, list[tuple[int, int]]]] = {}
    for name, own in records.items():
        for record in own.values():
            path = store.predictions_path(record.key)
            if not record.ok or not path.exists():
                continue
            with np.load(path, allow_pickle=False) as file:
                answers = file["probabilities"].argmax(1)
                for index, label, answer in zip(file["index"], file["labels"], answers, strict=True):
                    place = votes.setdefault((int(index), str(file["part"])), {})
                    place.setdefault(name, []).append((int(label), int(answer)))
    found = []
    for (index, part), by_method in votes.items():
        right = [np.mean([label == answer for label, answer in given]) for given in by_method.values()]
        answers = [answer for given in by_method.values() for _, answer in given]
        if max(right) < 0.5 and len(answers) >= 2 * len(by_method):
            found.append((index, part, int(np.bincount(answers).argmax()), len(answers)))
    return [(index, part, answer) for index, part, answer, _ in sorted(found, key=lambda f: (-f[3], f[0]))]
