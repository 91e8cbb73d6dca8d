"""A tournament: strategies on the same draws, stage by stage, as far as a budget of time allows."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fewshot.compare.board import Progress
from fewshot.compare.clock import Clock
from fewshot.compare.held_out import HeldOut, Pool, held_out
from fewshot.compare.strategies import STAGES, Strategy
from fewshot.errors import FewshotError
from fewshot.trials.executor import Executor
from fewshot.trials.plan import Plan
from fewshot.trials.record import Record
from fewshot.trials.run import run
from fewshot.trials.store import Store
from fewshot.trials.trial import Trial

SLACK = 1.2  # how much longer things may take than they did
START_UP = 8.0  # seconds until the workers have imported what they need


class Tournament:
    """Strategies on the same draws: what each said of the held-out images, and what a trial costs.

    Parameters
    ----------
    plan
        The trials of all strategies on all draws that there may be; the comparison decides which are run.
    strategies
        What is compared.
    clock
        The budget.
    store, executor
        Where records are kept, and where trials are computed.
    pool
        What the draws hold out from.
    reserve
        Seconds of the budget that are kept for what comes after the tournament.
    progress
        Is told of every trial.
    """

    def __init__(
        self,
        plan: Plan,
        strategies: Sequence[Strategy],
        clock: Clock,
        store: Store,
        executor: Executor,
        pool: Pool,
        reserve: float = 0.0,
        progress: Progress | None = None,
    ):
        self._trials = {(trial.method, trial.seed): trial for trial in plan.trials}
        self.clock, self._store, self._executor, self._reserve = clock, store, executor, reserve
        self._progress = progress or Progress()
        self.jobs = max(1, plan.machine.jobs or 1)
        self.pool = pool
        self.stages = {strategy.name: STAGES[strategy.stage] for strategy in strategies}
        # Guesses are for a hundred training images.
        scale = max(1.0, pool.training / 100)
        self.costs = {strategy.name: scale * strategy.cost for strategy in strategies}
        self.records: dict[str, dict[int, Record]] = {}
        self.left_out: dict[str, str] = {}  # strategy → why it was not tried, or not to the end
        self._started = False
        self._collected: dict[str, tuple[int, HeldOut | None]] = {}  # and of how many draws

    def expected(self, strategy: Strategy, draws: Sequence[int]) -> float:
        """Return the seconds that a strategy takes on some draws, features and start-up with it."""
        done = self.records.get(strategy.name, {})
        count = sum(draw not in done for draw in draws)
        seconds = math.ceil(count / self.jobs) * self.costs[strategy.name]
        if not done:
            seconds += strategy.feature_seconds(len(self.pool)) / self.jobs
        return seconds + (0 if self._started else START_UP)

    def fits(self, strategy: Strategy, draws: Sequence[int]) -> bool:
        """Tell whether there is time for a strategy on some draws."""
        return SLACK * self.expected(strategy, draws) <= self.time_left()

    def run(self, strategy: Strategy, draws: Sequence[int]) -> bool:
        """Run a strategy on draws; return False, and note why, where it cannot run at all."""
        trials = [self._trials[strategy.name, draw] for draw in draws]
        try:
            records = self.run_others(trials)
        except FewshotError as error:
            self.left_out[strategy.name] = error.args[0]
            self.records.pop(strategy.name, None)
            return False
        self._started = True
        by_draw = self.records.setdefault(strategy.name, {})
        by_draw |= {trial.seed: record for trial, record in zip(trials, records, strict=True)}
        self.costs[strategy.name] = float(np.median([record.seconds for record in by_draw.values()]))
        if not any(record.ok for record in by_draw.values()):
            self.left_out[strategy.name] = next(record.reason or "" for record in by_draw.values())
            del self.records[strategy.name]
            return False
        return True

    def run_others(self, trials: Sequence[Trial]) -> list[Record]:
        """Return the records of trials that are not of the tournament, on its executor and in its store."""
        progress = self._progress
        return run(
            list(trials), self._store, self._executor, progress.on_record, on_prepared=progress.on_prepared
        )

    def time_left(self) -> float:
        """Return the seconds that are left for trials."""
        return self.clock.left() - self._reserve

    def held_out(self) -> Mapping[str, HeldOut]:
        """Return what each strategy said of the held-out images."""
        for name, by_draw in self.records.items():
            if len(by_draw) != self._collected.get(name, (0, None))[0]:
                self._collected[name] = len(by_draw), held_out(by_draw, self._store, self.pool)
        collected = {name: self._collected[name][1] for name in self.records}
        return {name: said for name, said in collected.items() if said is not None}
