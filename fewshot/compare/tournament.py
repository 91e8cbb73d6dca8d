"""A tournament: strategies on the same draws, stage by stage, as far as a budget of time allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fewshot.compare.board import Progress
from fewshot.compare.clock import Clock, share_of_core
from fewshot.compare.held_out import HeldOut, Pool, held_out
from fewshot.compare.strategies import STAGES, Strategy
from fewshot.errors import FewshotError
from fewshot.trials.executor import Executor, OutOfTime, forever
from fewshot.trials.plan import Plan
from fewshot.trials.predictions import Predictions, read_predictions
from fewshot.trials.record import Record
from fewshot.trials.run import run
from fewshot.trials.store import Store
from fewshot.trials.trial import Trial
from fewshot.wording import plural

SLACK = 1.2  # how much longer things may take than they did
START_UP = 8.0  # seconds until the workers have imported what they need
NO_TIME = "more time is needed"


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
        Seconds of the budget that are kept for what comes after the tournament; may be set anew.
    progress
        Is told of every trial.
    share
        Tells how much of a core this process gets.
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
        share: Callable[[], float] = share_of_core,
    ):
        self._trials = {(trial.method, trial.seed): trial for trial in plan.trials}
        self.clock, self._store, self._executor, self.reserve = clock, store, executor, reserve
        self._progress = progress or Progress()
        self.jobs = max(1, plan.machine.jobs or 1)
        self.pool = pool
        self.stages = {strategy.name: STAGES[strategy.stage] for strategy in strategies}
        # Guesses are for a hundred training images.
        scale = max(1.0, pool.training / 100)
        self.costs = {strategy.name: scale * strategy.cost for strategy in strategies}
        self.records: dict[str, dict[int, Record]] = {}
        self.left_out: dict[str, str] = {}  # strategy → why it was not tried
        self._started = False
        self._timed: set[str] = set()  # strategies whose costs were measured in this run
        self._guessed = self._taken = 0.0  # seconds: of what took longer than guessed, or tells as much
        self._measured_share, self._share = share, 1.0
        self._collected: dict[str, tuple[int, HeldOut | None]] = {}  # and of how many draws

    def expected(self, strategy: Strategy, draws: Sequence[int]) -> float:
        """Return the seconds that a strategy takes on some draws, features and start-up with it."""
        trials, before = self._guess(strategy, draws)
        return trials * (1 if strategy.name in self._timed else self.pace) + before * self.pace

    def _guess(self, strategy: Strategy, draws: Sequence[int]) -> tuple[float, float]:
        """Return the seconds of a strategy's trials, and of what comes before, at the usual speed."""
        done = self.records.get(strategy.name, {})
        count = sum(draw not in done for draw in draws)
        features = 0.0 if done else strategy.feature_seconds(self.pool.count) / self.jobs
        return (
            math.ceil(count / self.jobs) * self.costs[strategy.name],
            features + (0 if self._started else START_UP),
        )

    @property
    def pace(self) -> float:
        """How many times as long as guessed things take on this machine, by what it did so far.

        1 or more. Costs that were measured in this run need no such factor. Where features lie in the store,
        what was done tells little: then what this process gets of a core does.
        """
        return max(1 / self._share, self._taken / self._guessed if self._guessed else 1.0)

    def fits(self, strategy: Strategy, draws: Sequence[int]) -> bool:
        """Tell whether there is time for a strategy on some draws."""
        return SLACK * self.expected(strategy, draws) <= self.time_left()

    def run(self, strategy: Strategy, draws: Sequence[int]) -> bool:
        """Run a strategy on draws; return False, and note why, where it cannot run at all.

        When the time is up, the draws that have not come to their end are left out, unless nothing else is
        known.
        """
        name, first = strategy.name, not self.records
        by_draw, computed = dict(self.records.get(name, {})), []
        guess, begin = self._guess(strategy, draws), self.clock.gone()

        def note(trial: Trial, record: Record, new: bool) -> None:
            by_draw[trial.seed] = record
            computed.extend([record.seconds] * new)

        try:
            trials = [self._trials[name, draw] for draw in draws]
            self.run_others(trials, note, forever if first else self.time_left)
        except OutOfTime:
            if by_draw:
                self._progress.say(f"time is up: {name} ends after {plural(len(by_draw), 'draw')}")
        except FewshotError as error:
            self.left_out[name] = error.args[0]
            self.records.pop(name, None)
            return False
        self._started, self._share = True, self._measured_share()
        if not any(record.ok for record in by_draw.values()):
            self.left_out[name] = next((record.reason or "" for record in by_draw.values()), NO_TIME)
            self.records.pop(name, None)
            return False
        self.records[name] = by_draw
        if len(computed) == len(draws) and name not in self._timed:
            self._compare(self.clock.gone() - begin, *guess)
        if computed or name not in self._timed:
            self.costs[name] = float(np.median(computed or [one.seconds for one in by_draw.values()]))
        if computed:
            self._timed.add(name)
        return True

    def _compare(self, taken: float, trials: float, before: float) -> None:
        """Compare with a guess what was computed anew: features that lie in the store take no time."""
        if taken > trials + before or not before:
            self._guessed += trials + before
            self._taken += taken

    def run_others(
        self,
        trials: Sequence[Trial],
        note: Callable[[Trial, Record, bool], None] = lambda trial, record, computed: None,
        left: Callable[[], float] = forever,
    ) -> list[Record]:
        """Return the records of trials, on the tournament's executor and in its store.

        note: is told of each. left: how many seconds there are; `OutOfTime` where they do not suffice.
        """
        progress = self._progress

        def on_record(trial: Trial, record: Record, computed: bool) -> None:
            note(trial, record, computed)
            progress.on_record(trial, record, computed)

        return run(
            list(trials),
            self._store,
            self._executor,
            on_record,
            on_prepared=progress.on_prepared,
            left=left,
        )

    def predictions(self, record: Record) -> Predictions | None:
        """Return what a trial said of its held-out images, where that was kept."""
        return read_predictions(self._store, record)

    def time_left(self) -> float:
        """Return the seconds that are left for trials."""
        return self.clock.left() - self.reserve * self.pace

    def held_out(self) -> Mapping[str, HeldOut]:
        """Return what each strategy said of the held-out images."""
        for name, by_draw in self.records.items():
            if len(by_draw) != self._collected.get(name, (0, None))[0]:
                self._collected[name] = len(by_draw), held_out(by_draw, self._store, self.pool)
        collected = {name: self._collected[name][1] for name in self.records}
        return {name: said for name, said in collected.items() if said is not None}
