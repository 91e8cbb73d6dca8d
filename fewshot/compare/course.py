"""The course of a comparison: what the budget buys, in order, and what is left out, with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fewshot.compare.answer import answer_of, is_behind
from fewshot.compare.board import Progress
from fewshot.compare.clock import minutes, typed
from fewshot.compare.held_out import DRAWS
from fewshot.compare.strategies import STAGES, Strategy
from fewshot.compare.tournament import NO_TIME, OVER, SLACK, Reserve, Tournament
from fewshot.compare.verdict import between
from fewshot.data import open_splits
from fewshot.data.protocols import FOLDS, near_duplicates
from fewshot.errors import FewshotError, field
from fewshot.learners.contract import Learner
from fewshot.stats.intervals import Estimate, estimate
from fewshot.trials.executor import OutOfTime
from fewshot.trials.plan import Draws, Images, Plan, make_plan
from fewshot.wording import plural

ROUNDS = 3  # how often every photo is held out, where there is time
LEAST_DRAWS = 3  # of a strategy that takes long: so many tell whether it is far behind
LARGEST_ROUND = max(DRAWS, FOLDS)
SHOTS = (3, 5, 10, 20, 50, 100, 200)
CURVE_DRAWS = 5
CURVE_SHARE = 0.8  # of the smallest class, at most, so that some are held out
# Seconds at the usual speed, roughly.
INSPECTING = 7.0  # looking for odd photos and labels, with the start of the backend in this process
SAVING, COPYING = 3.0, 5.0  # saving and checking a model, and more for each backbone in it
CHECKING = 25  # and as long as so many photos take to look at
DRAWING = 3.0  # pictures and page
KEPT = 0.5  # at most this share of the budget is kept for all that, at the usual speed
TOO_LITTLE = 0.1  # share of the budget: where it is overdrawn by more, that is said as soon as it shows


class Course:
    """The course of a comparison: stage after stage, as far as there is time."""

    def __init__(
        self,
        tournament: Tournament,
        strategies: Sequence[Strategy],
        plan: Plan,
        images: Images,
        draws: Draws,
        progress: Progress,
        trainings: int = 0,
        export: bool = False,
    ):
        self._trainings, self._export = trainings, export  # trainings of the winner come at the end
        self._tournament, self._strategies, self._progress = tournament, list(strategies), progress
        self._plan, self._images, self._draws = plan, images, draws
        self._round = plan.seeds[: tournament.pool.per_round]
        self._waiting: list[Strategy] = []  # for more time, in order
        self._asked = 0.0  # seconds that a budget needs for them, by now
        self._told = False  # that the budget will not do
        self.points: dict[str, dict[int, list[float]]] = {}

    def run(self) -> None:
        """Run all of it: heads first and to the end, what takes long only as far as it is not far behind.

        In order: where there is no time for a strategy, weaker ones that take less do not take its place.
        """
        self._tournament.look_around()
        if self._strategies:
            self._keep(self._strategies[0])
        heads = [strategy for strategy in self._strategies if strategy.stage == 0]
        for strategy in heads:
            self._try(strategy)
        self._once_more(heads)
        self.measure_curve()
        for strategy in self._strategies[len(heads) :]:
            self._try(strategy)
        self.measure_curve()

    def _try(self, strategy: Strategy) -> None:
        """Run a strategy, if there is time; what is behind after a few draws gets no more."""
        tournament, first = self._tournament, not self._tournament.records
        # What takes long is measured on one wave of draws before more are asked for.
        enough = self._round if strategy.stage == 0 else self._round[: tournament.jobs]
        over = OVER * tournament.clock.budget if strategy.stage == 0 else 0.0
        expected = tournament.expected(strategy, enough)
        if expected and not first and (self._waiting or not tournament.fits(strategy, enough, over)):
            self._wait(strategy, enough)
            return
        if not tournament.fetch(strategy):
            self._drop(strategy)
            return
        expected = tournament.expected(strategy, enough)
        if not first and not tournament.fits(strategy, enough, over):  # fetching took that long
            self._wait(strategy, enough)
            return
        if first:
            self._progress.say(*self._too_little(expected))
        self._tell(f"{strategy.name} ({STAGES[strategy.stage]})", len(enough), expected)
        if not tournament.run(strategy, enough, over):
            if tournament.left_out[strategy.name] == NO_TIME:
                self._progress.say(f"{strategy.name} is given up: the time is up")
                self._wait(strategy, enough)
            else:
                self._drop(strategy)
            return
        self._keep(strategy)
        for start in range(len(enough), len(self._round), tournament.jobs):
            wave = self._round[start : start + tournament.jobs]
            decided = start >= LEAST_DRAWS and is_behind(tournament, strategy.name)
            if decided or not tournament.fits(strategy, wave):
                break
            tournament.run(strategy, wave)
            self._keep(strategy)
        if first:
            self._progress.say(*_so_far(tournament), *self._too_little())

    def _drop(self, strategy: Strategy) -> None:
        self._progress.say(f"{strategy.name} drops out: {self._tournament.left_out[strategy.name]}")

    def _wait(self, strategy: Strategy, draws: Sequence[int]) -> None:
        """Note that a strategy waits for more time: how long it takes, and which budget has room for it."""
        tournament, left = self._tournament, self._tournament.time_left()
        needed = SLACK * tournament.expected(strategy, draws)
        if not self._waiting:
            self._asked = tournament.clock.budget - left
        elif strategy.stage > 0 and self._waiting[-1].stage == 0:
            self._asked += self._rest_of_heads()
        kept = tournament.on_this_machine(self._kept_for(strategy))
        budget = max(self._asked + needed + max(0.0, kept - tournament.kept()), tournament.clock.budget + 1)
        if self._waiting:
            after = f"comes after {self._waiting[-1].name}, and takes about {minutes(needed)}"
            why = f"{after}: needs {field('budget', typed(budget))}"
        else:
            why = shortage(needed, left, budget)
        tournament.left_out[strategy.name] = why
        self._waiting.append(strategy)
        # Before the next one's turn this one has all draws of a round, unless it is behind.
        self._asked += SLACK * tournament.expected(strategy, self._round)

    def _rest_of_heads(self) -> float:
        """Return the seconds that other folds and the curve take, before what comes after heads."""
        tournament = self._tournament
        rounds = math.ceil(len(self._round) / tournament.jobs) * (ROUNDS - 1)
        curve = len(SHOTS) * math.ceil(CURVE_DRAWS / tournament.jobs)
        heads = [strategy.name for strategy in self._strategies if strategy.stage == 0]
        each = [
            tournament.costs[name] * (1 if name in tournament.records else tournament.pace) for name in heads
        ]
        return SLACK * (rounds * sum(each) + curve * max(each, default=0.0))

    def _kept_for(self, strategy: Strategy) -> Reserve:
        """Return what the end takes if a strategy wins, without training it."""
        saving = reserve_for_saving(strategy.learner) if self._export else Reserve()
        most = KEPT * self._tournament.clock.budget
        return Reserve(min(INSPECTING + saving.setup + DRAWING, most), min(saving.computing, most))

    def _keep(self, strategy: Strategy) -> None:
        """Keep enough of the budget for the end; of a strategy, until one is known to win."""
        tournament, winner = self._tournament, answer_of(self._tournament).winner
        wins = next((one for one in self._strategies if one.name == winner), strategy)
        training = 0.0 if winner is None else self._trainings * tournament.costs[winner]
        tournament.reserve = replace(self._kept_for(wins), training=training)

    def _too_little(self, expected: float = 0.0) -> list[str]:
        """Return a line where the budget will clearly not do on this machine; once.

        expected: seconds that the first strategy, which is run in any case, will take.
        """
        clock = self._tournament.clock
        whole = clock.gone() + expected + self._tournament.kept()
        if self._told or whole <= (1 + TOO_LITTLE) * clock.budget:
            return []
        self._told = True
        return [
            f"this machine is slow, or busy: the first strategy with its model and pictures takes about "
            f"{minutes(whole)} in all, {minutes(whole - clock.budget)} more than the budget"
        ]

    def _once_more(self, heads: Sequence[Strategy]) -> None:
        """Divide the images into other folds, for the heads that are not behind."""
        tournament = self._tournament
        contenders = [
            strategy
            for strategy in heads
            if strategy.name in tournament.records and not is_behind(tournament, strategy.name)
        ]
        for start in range(len(self._round), ROUNDS * len(self._round), len(self._round)):
            draws = self._plan.seeds[start : start + len(self._round)]
            for strategy in contenders:
                if tournament.fits(strategy, draws):
                    expected = tournament.expected(strategy, draws)
                    self._tell(f"{strategy.name} on photos divided anew", len(draws), expected)
                    tournament.run(strategy, draws)

    def measure_curve(self) -> None:
        """Measure the leader with fewer images, as time allows; nothing where that has been done."""
        tournament, winner = self._tournament, answer_of(self._tournament).winner
        if winner is None or winner in self.points or tournament.pool.prior == "natural":
            return  # the curve is of as many images of each class
        classes, train = self._plan.data.classes, open_splits(self._images.small.folder).train
        smallest = min(tournament.pool.of_classes(np.bincount(train.y, minlength=len(classes)).tolist()))
        protocol = "distinct" if self._plan.protocol.name == "folds" else self._draws.protocol
        points: dict[int, list[float]] = {}
        for shots in (count for count in SHOTS if count <= CURVE_SHARE * smallest):
            draws = replace(self._draws, protocol=protocol, shots=shots)
            learner = {winner: self._plan.learners[winner]}
            fewer = make_plan(learner, self._images, draws, range(CURVE_DRAWS), self._plan.machine)
            title = f"{winner} with {plural(shots, 'photo')} a class"
            expected = tournament.seconds_of(fewer.trials)
            try:
                if expected and SLACK * expected > tournament.time_left():
                    raise OutOfTime
                self._tell(title, CURVE_DRAWS, expected)
                records = tournament.run_others(fewer.trials, left=tournament.time_left)
            except OutOfTime:
                needed, left = SLACK * expected, tournament.time_left()
                tournament.left_out[title] = shortage(needed, left, tournament.clock.budget + needed - left)
                break
            except FewshotError as error:  # some need more photos than that
                tournament.left_out[title] = error.args[0]
                continue
            points[shots] = [r.balanced_accuracy for r in records if r.balanced_accuracy is not None]
        self.points[winner] = {shots: accuracies for shots, accuracies in points.items() if accuracies}

    def measure_test_part(self) -> Estimate | None:
        """Return the winner's accuracy on the test images, trained on all others; None without such.

        Test images that are near-duplicates of training images tell nothing of new ones: they do not count.
        """
        winner, pool = answer_of(self._tournament).winner, self._tournament.pool
        splits = open_splits(self._images.small.folder)
        if winner is None or splits.test is None or not (pool.folds and pool.same_classes):
            return None
        learner = {winner: self._plan.learners[winner]}
        whole = make_plan(learner, self._images, self._all_others(), [0], self._plan.machine)
        self._tell(f"{winner} on the test images", 1, self._tournament.costs[winner])
        try:
            (record,) = self._tournament.run_others(whole.trials)
        except FewshotError as error:
            self._tournament.left_out[f"{winner} on the test images"] = error.args[0]
            return None
        said = self._tournament.predictions(record) if record.ok else None
        if said is None:
            return None
        trained, tested = near_duplicates(splits.train, splits.test)
        new = np.flatnonzero(~np.isin(tested[said.index], trained))
        if repeated := len(said.index) - len(new):
            self._progress.say(
                f"{plural(repeated, 'test image')} left out: near-duplicates of training images"
            )
        counted = new[np.unique(tested[said.index][new], return_index=True)[1]]
        if not len(counted):
            return None
        right = said.answers[counted] == said.labels[counted]
        return estimate(float(right.mean()), len(counted), len(counted))

    def _all_others(self) -> Draws:
        """Return the draw that trains on all images but those of the test part."""
        protocol = self._plan.protocol
        return Draws("full", classes=protocol.classes, balanced=False, prior=protocol.prior)

    def _tell(self, title: str, trials: int, seconds: float) -> None:
        done = {*self._tournament.records, *self._tournament.left_out, title.partition(" ")[0]}
        following = [strategy.name for strategy in self._strategies if strategy.name not in done]
        then = following[0] if following and not self._waiting else "saving"
        # What is recorded is no stage to wait for.
        self._progress.on_stage(title, self._tournament.clock, trials, seconds or None, then)


def _so_far(tournament: Tournament) -> list[str]:
    """Return the verdict after the first strategy, in a line."""
    answer = answer_of(tournament)
    if answer.winner is None or answer.promise is None:
        return []
    told = answer.promise.expected
    return [
        f"so far, after {minutes(tournament.clock.gone())}: {answer.winner} gets about "
        f"{told.value:.0f} of 100 new photos right{between(told)}"
    ]


def reserve_for_saving(learner: Learner, training: float = 0.0) -> Reserve:
    """Return what training a winner, saving and checking the model take. training: seconds here."""
    setup = SAVING + COPYING * len(learner.pretrained())
    return Reserve(setup, learner.feature_seconds(CHECKING), training)


def shortage(seconds: float, left: float, budget: float) -> str:
    """Return why something was left out: what it takes, what was left, and which budget has room for it."""
    had = (
        f"{minutes(left)} were left" if left >= 1 else "what was left is kept for the model and the pictures"
    )
    return f"takes about {minutes(seconds)}, and {had}: needs {field('budget', typed(budget))}"
