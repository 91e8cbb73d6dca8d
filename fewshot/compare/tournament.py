"""A tournament: strategies on the same draws, stage by stage, as far as a budget of time allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.backbones.features import files_to_fetch, missing_seconds
from fewshot.backbones.weights import WeightFile, locate
from fewshot.compare.board import Progress
from fewshot.compare.clock import Clock, Pace, share_of_core
from fewshot.compare.held_out import HeldOut, Pool, held_out
from fewshot.compare.strategies import STAGES, Strategy
from fewshot.data import open_splits
from fewshot.errors import FewshotError
from fewshot.machine import size
from fewshot.trials.executor import Executor, OutOfTime, forever
from fewshot.trials.plan import Plan
from fewshot.trials.predictions import Predictions, read_predictions
from fewshot.trials.record import Record
from fewshot.trials.run import run
from fewshot.trials.store import Store
from fewshot.trials.trial import Trial
from fewshot.wording import plural

SLACK = 1.2  # how much longer things may take than they did
OVER = 0.05  # share of the budget that what comes first may take beyond what is left
START_UP = 9.0  # seconds until the workers have imported what they need …
BUILDING = 3.0  # … and built a backbone
ASKING, RATE, USUAL_SIZE = 4.0, 8e6, 50e6  # seconds until weights arrive, bytes a second, bytes of a file
FETCHING, STARTING, COMPUTING = "fetching", "starting", "computing"  # what has a pace of its own
BESIDE = 1.5  # how much longer things take while other workers compute on the same processor
MORE = 3.0  # times as long as on one backbone heads take on several, at most
LOOKED_UP = 100  # images that tell how many features are there
NO_TIME = "more time is needed"


@dataclass(frozen=True)
class Reserve:
    """What is kept of the budget for what comes after the trials.

    Parameters
    ----------
    setup, computing
        Seconds at the usual speed, of imports, networks and files, and of what backbones look at.
    training
        Seconds on this machine that training the winner takes.
    """

    setup: float = 0.0
    computing: float = 0.0
    training: float = 0.0


class Tournament:
    """Strategies on the same draws: what each said of the held-out images, and what a trial costs.

    `reserve` may be set.

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
        progress: Progress | None = None,
        share: Callable[[], float] = share_of_core,
    ):
        self._trials = {(trial.method, trial.seed): trial for trial in plan.trials}
        self.clock, self._store, self._executor = clock, store, executor
        self.reserve = Reserve()
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
        self._known: dict[tuple[str, int], bool] = {}  # strategy and draw → whether it is recorded
        self._lacking: dict[str, dict[str, float]] = {}  # strategy → backbone → seconds of its features
        self._unavailable: dict[WeightFile, str] = {}  # weights that cannot be fetched, and why
        self._paces = Pace()
        self._measured_share, self._share = share, 1.0
        self._collected: dict[str, tuple[int, HeldOut | None]] = {}  # and of how many draws

    def expected(self, strategy: Strategy, draws: Sequence[int]) -> float:
        """Return the seconds that a strategy takes on some draws, with weights, features and start-up."""
        draws = [draw for draw in draws if not self._is_known(strategy.name, draw)]
        if not draws:
            return 0.0
        fetching = sum(map(_seconds_to_fetch, self._files(strategy)))
        features, starting = self._before(strategy)
        trials = math.ceil(len(draws) / self.jobs) * self._cost(strategy)
        return (
            fetching * (self._paces.of(FETCHING) or 1.0)
            + starting * self.pace_of_start
            + features / self.jobs * self.pace
            + trials
        )

    def _cost(self, strategy: Strategy) -> float:
        """Return the seconds that a trial takes here, as it was measured, or as a guess."""
        if strategy.name in self._timed:
            return self.costs[strategy.name]
        guess = self.costs[strategy.name] * self.pace
        # Heads take about as long as others do, once their features are there.
        alike = [self.costs[name] for name in self._timed if self.stages[name] == STAGES[0]]
        return min(guess, MORE * max(alike)) if alike and strategy.stage == 0 else guess

    def _is_known(self, name: str, draw: int) -> bool:
        """Return whether a draw is recorded, in this run or an earlier one."""
        if draw in self.records.get(name, {}):
            return True
        if (name, draw) not in self._known:
            self._known[name, draw] = self._is_recorded(self._trials[name, draw])
        return self._known[name, draw]

    def _before(self, strategy: Strategy) -> tuple[float, float]:
        """Return the seconds, at the usual speed, of a strategy's features on one core, and of starting."""
        lacking = self._features_of(strategy)
        return sum(lacking.values()), len(lacking) * BUILDING + self._starting

    @property
    def _starting(self) -> float:
        """How many seconds, at the usual speed, pass until the workers compute."""
        return 0.0 if self._started else START_UP

    def seconds_of(self, trials: Sequence[Trial]) -> float:
        """Return the seconds that other trials take of a strategy that is known; 0 for recorded ones."""
        names = [trial.method for trial in trials if not self._is_recorded(trial)]
        if not names:
            return 0.0
        return math.ceil(len(names) / self.jobs) * self.costs[names[0]] + self._starting * self.pace_of_start

    def _is_recorded(self, trial: Trial) -> bool:
        record = self._store.get(trial.key)
        return record is not None and record.ok

    def _features_of(self, strategy: Strategy) -> dict[str, float]:
        """Return backbone → the seconds on one core of those of its features that nobody has computed yet."""
        if strategy.name not in self._lacking:
            trial = next(trial for (name, _), trial in self._trials.items() if name == strategy.name)
            images, lacking = open_splits(trial.data.folder).parts[self.pool.part], dict[str, float]()
            everything = (
                np.arange(len(images)) if self.pool.images is None else np.flatnonzero(self.pool.images)
            )
            some = everything[:: -(-len(everything) // LOOKED_UP)]
            for backbone, seen in strategy.learner.features_of(images.take(some).x):
                missing = missing_seconds(backbone, seen, (trial.threads, trial.device))
                lacking[backbone] = lacking.get(backbone, 0.0) + missing * len(everything) / len(some)
            self._lacking[strategy.name] = {backbone: took for backbone, took in lacking.items() if took}
        return self._lacking[strategy.name]

    @staticmethod
    def _files(strategy: Strategy) -> list[WeightFile]:
        """Return the weights that have to be fetched for a strategy."""
        files = [file for text in strategy.learner.pretrained() for file in files_to_fetch(text)]
        return list(dict.fromkeys(files))

    @property
    def pace(self) -> float:
        """How many times as long as guessed computing takes on this machine, by what it did so far.

        Costs that were measured in this run need no such factor. Before anything is measured, as where
        features lie in the store, what this process gets of a core tells.
        """
        return self._paces.of(COMPUTING) or max(BESIDE if self.jobs > 1 else 1.0, 1 / self._share)

    @property
    def pace_of_start(self) -> float:
        """The same for imports and for building networks, of which saving a model mostly consists, too."""
        return self._paces.of(STARTING) or self.pace

    def look_around(self) -> None:
        """Measure what this process gets of a core."""
        self._share = self._measured_share()

    def fits(self, strategy: Strategy, draws: Sequence[int], over: float = 0.0) -> bool:
        """Tell whether there is time for a strategy on some draws.

        over: so many seconds more, without the slack that guesses otherwise have.
        """
        needed = self.expected(strategy, draws) * (1 if over else SLACK)
        return not needed or needed <= self.time_left() + over

    def fetch(self, strategy: Strategy) -> bool:
        """Fetch the weights that a strategy needs; return False, and note why, where that cannot be done.

        In this process, which shows how far it is, and before workers ask for them at the same time.
        """
        for file in self._files(strategy):
            if file in self._unavailable:  # it was asked for, for another strategy
                self.left_out[strategy.name] = self._unavailable[file]
                return False
            guess, begin = _seconds_to_fetch(file), self.clock.gone()
            told = f" ({size(file.size)})" if file.size else ""
            title, expected = f"fetching the weights of {file.name}{told}", self._paces.of(FETCHING) or 1.0
            self._progress.on_stage(title, self.clock, 0, guess * expected, strategy.name)
            try:
                locate(file)
            except FewshotError as error:
                self.left_out[strategy.name] = self._unavailable[file] = error.args[0]
                return False
            self._paces.note(FETCHING, guess, self.clock.gone() - begin)
        return True

    def run(self, strategy: Strategy, draws: Sequence[int], over: float = 0.0) -> bool:
        """Run a strategy on draws; return False, and note why, where it cannot run at all.

        When the time is up, the draws that have not come to their end are left out, unless nothing else is
        known. over: so many seconds more.
        """
        name, first = strategy.name, not self.records
        by_draw, computed = dict(self.records.get(name, {})), []
        (features, starting), begin = self._before(strategy), self.clock.gone()
        shares: list[float] = []  # seconds that parts of the features took, each on one core
        ended = total = 0.0

        def note(trial: Trial, record: Record, new: bool) -> None:
            by_draw[trial.seed] = record
            computed.extend([record.seconds] * new)

        def prepared(of: int, seconds: float) -> None:
            nonlocal ended, total
            ended, total = self.clock.gone(), of
            shares.append(seconds)

        if starting:
            self._progress.on_detail("starting, and building networks")
        try:
            trials = [self._trials[name, draw] for draw in draws]
            left = forever if first else lambda: self.time_left() + over
            self.run_others(trials, note, left, prepared)
        except OutOfTime:
            if by_draw:
                self._progress.say(f"time is up: {name} ends after {plural(len(by_draw), 'draw')}")
            elif not shares:  # a draw takes longer than that: twice as long, as a guess
                so_far = self.clock.gone() - begin
                self.costs[name] = max(self.costs[name], 2 * so_far / self.pace)
        except FewshotError as error:
            self.left_out[name] = error.args[0]
            self.records.pop(name, None)
            return False
        finally:
            self._lacking.clear()  # there are more features now
        if shares:
            at_once = min(self.jobs, len(shares))
            self._paces.note(COMPUTING, features * len(shares) / total, sum(shares))
            self._paces.note(STARTING, starting, max(0.0, ended - begin - sum(shares) / at_once))
        elif name not in self._timed:
            self._paces.note(COMPUTING, len(computed) * self.costs[name], sum(computed))
        if not self._paces.of(COMPUTING):
            self.look_around()
        if not any(record.ok for record in by_draw.values()):
            self.left_out[name] = next((record.reason or "" for record in by_draw.values()), NO_TIME)
            self.records.pop(name, None)
            return False
        self.records[name] = by_draw
        if computed or name not in self._timed:
            self.costs[name] = float(np.median(computed or [one.seconds for one in by_draw.values()]))
        if computed:
            self._timed.add(name)
        return True

    def run_others(
        self,
        trials: Sequence[Trial],
        note: Callable[[Trial, Record, bool], None] = lambda trial, record, computed: None,
        left: Callable[[], float] = forever,
        prepared: Callable[[int, float], None] = lambda total, seconds: None,
    ) -> list[Record]:
        """Return the records of trials, on the tournament's executor and in its store.

        note: is told of each. left: how many seconds there are; `OutOfTime` where they do not suffice.
        prepared: is told of each part of the features, as in `fewshot.trials.run.run`.
        """
        progress = self._progress

        def on_prepared(total: int, seconds: float) -> None:
            self._started = True
            prepared(total, seconds)
            progress.on_prepared(total)

        def on_record(trial: Trial, record: Record, computed: bool) -> None:
            self._started |= computed
            note(trial, record, computed)
            progress.on_record(trial, record, computed)

        return run(
            list(trials),
            self._store,
            self._executor,
            on_record,
            on_prepared=on_prepared,
            left=left,
        )

    def predictions(self, record: Record) -> Predictions | None:
        """Return what a trial said of its held-out images, where that was kept."""
        return read_predictions(self._store, record)

    def time_left(self) -> float:
        """Return the seconds that are left for trials."""
        return self.clock.left() - self.kept()

    def kept(self) -> float:
        """Return the seconds that are kept for what comes after the trials."""
        return self.on_this_machine(self.reserve)

    def on_this_machine(self, reserve: Reserve) -> float:
        """Return how many seconds a reserve is here."""
        return reserve.setup * self.pace_of_start + reserve.computing * self.pace + reserve.training

    def held_out(self) -> Mapping[str, HeldOut]:
        """Return what each strategy said of the held-out images."""
        for name, by_draw in self.records.items():
            if len(by_draw) != self._collected.get(name, (0, None))[0]:
                self._collected[name] = len(by_draw), held_out(by_draw, self._store, self.pool)
        collected = {name: self._collected[name][1] for name in self.records}
        return {name: said for name, said in collected.items() if said is not None}


def _seconds_to_fetch(file: WeightFile) -> float:
    """Return the seconds that a file of weights takes to arrive, as a guess before the first has."""
    return ASKING + (file.size or USUAL_SIZE) / RATE
