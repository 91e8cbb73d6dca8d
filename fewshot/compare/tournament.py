"""A tournament: strategies on the same draws, within a budget of time."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fewshot.compare.clock import Clock
from fewshot.data import Splits
from fewshot.data.protocols import Protocol
from fewshot.report.comparison import columns
from fewshot.report.table import aligned
from fewshot.stats import selection
from fewshot.trials.executor import Executor
from fewshot.trials.plan import Plan
from fewshot.trials.record import Record
from fewshot.trials.run import run
from fewshot.trials.store import Store
from fewshot.trials.trial import Trial

DRAWING = 0.65  # the share of the budget after which draws end
SLACK = 1.2  # how much longer things may take than they did
START_UP = 15.0  # seconds before the first trial ends

OnRecord = Callable[[Trial, Record, bool], None]


class Tournament:
    """Strategies on the same draws: who is in, what each scored on each draw, and what a trial costs.

    Parameters
    ----------
    plan
        The trials of all strategies on all draws that there may be; the tournament decides which are run.
    costs
        Method → seconds of a trial, as a guess before the first is measured.
    clock
        The budget.
    pool
        What the draws share.
    """

    def __init__(
        self,
        plan: Plan,
        costs: Mapping[str, float],
        clock: Clock,
        pool: selection.Pool = selection.APART,
    ):
        self._trials = {(trial.method, trial.seed): trial for trial in plan.trials}
        self._jobs, self._clock, self._pool = plan.machine.jobs, clock, pool
        self.costs = dict(costs)
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
            name: {draw: record.accuracy for draw, record in by_draw.items() if record.ok}
            for name, by_draw in self.records.items()
        }

    def least(self) -> float:
        """Return the seconds that the cheapest strategy's draws take, start-up with it."""
        return SLACK * (START_UP + selection.LEAST_DRAWS * min(self.costs.values()) / self._jobs) / DRAWING

    def run_draws(self, draws: Sequence[int], store: Store, executor: Executor, on_record: OnRecord) -> bool:
        """Run all active strategies on more draws; return False where the time left is too short.

        Before that, the dearest ones drop out, as long as they do not lead. The first draws are run in any
        case: they measure what a trial costs.
        """
        while 0 not in draws and len(draws) * self._expected() > self._clock.left(DRAWING):
            dearest = max(self.active, key=self.costs.get)
            if len(self.active) == 1 or dearest == selection.leader(self.scores):
                return False
            self.active.remove(dearest)
        trials = [self._trials[name, draw] for draw in draws for name in self.active]
        for trial, record in zip(trials, run(trials, store, executor, on_record), strict=True):
            self.records[trial.method][trial.seed] = record
        for name in self.active:
            self.costs[name] = float(np.median([record.seconds for record in self.records[name].values()]))
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
        reasons = [
            record.reason for by_draw in self.records.values() for record in by_draw.values() if record.reason
        ]
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
