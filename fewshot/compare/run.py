"""From a folder of photos to an answer: strategies on the same draws, within a budget of time."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fewshot.compare.board import Progress
from fewshot.compare.clock import Clock, check_budget
from fewshot.compare.findings import Findings
from fewshot.compare.hard import hard_images
from fewshot.compare.strategies import Strategy
from fewshot.compare.tournament import SLACK, Tournament, pool
from fewshot.compare.winner import save_winner
from fewshot.data import duplicates, open_splits
from fewshot.data.protocols import near_duplicates
from fewshot.errors import FewshotError, UsageError
from fewshot.io.files import writing
from fewshot.learners.contract import Learner
from fewshot.stats import selection
from fewshot.trials.executor import Executor
from fewshot.trials.plan import Draws, Images, Machine, Plan, make_plan
from fewshot.trials.run import run
from fewshot.trials.store import Store
from fewshot.wording import plural

MOST_DRAWS = 40
SHOTS = (5, 10, 20, 50, 100, 200)
CURVE = 0.85  # the share of the budget after which the curve of shots ends
CURVE_DRAWS = 4
BUDGET = 1200.0


def compare(
    load: Callable[[Iterable[Learner]], Images],
    strategies: Sequence[Strategy],
    budget: float = BUDGET,
    draws: Draws | None = None,
    machine: Machine | None = None,
    out: str | Path = "results",
    export: bool = True,
    progress: Progress | None = None,
    command: str = "",
) -> Findings:
    """Return which strategy is best for the images, and write pictures, document and model.

    The strategies that fit into the budget run, cheapest first, on the same draws; the hopeless ones are
    stopped. Odd draws choose the winner, even ones give its accuracy. What `out` has recorded is not computed
    again.

    Parameters
    ----------
    load
        Returns the images that these learners look at, as `fewshot.trials.plan.load_images` does.
    strategies
        What to compare.
    budget
        Seconds for all of it, loading and export included.
    draws, machine
        How tasks are drawn, and where they are computed, as for any plan.
    out
        The folder of the records; pictures, document and model go to its folder `compare`.
    export
        Train the winner on all images and save it.
    progress
        Is told how it goes.
    command
        The command line, for the document and the model's card.

    Raises
    ------
    UsageError
        For a budget that is too short, and for what `make_plan` refuses.
    FewshotError
        Where no trial succeeds, or files cannot be written.
    """
    check_budget(budget)
    clock, progress = Clock(budget), progress or Progress()
    learners = {strategy.name: strategy.learner for strategy in strategies}
    images = load(learners.values())
    draws, machine = draws or Draws(), machine or Machine()
    plan = make_plan(learners, images, draws, machine=machine, usual_seeds=MOST_DRAWS)
    splits = open_splits(images.small.folder)
    costs = {strategy.name: strategy.cost for strategy in strategies}
    tournament = Tournament(plan, costs, clock, pool(plan.protocol, splits))
    if not tournament.active:
        raise _too_short(tournament, clock)
    repeated = (
        duplicates.repeated(near_duplicates(splits.train, splits.train)[0]) if _keeps_apart(plan) else []
    )
    progress.say(*images.small.notes, *_announcement(plan, tournament, clock, repeated))
    folder = Path(out) / "compare"
    with Store(out).open() as store:
        with plan.machine.open(plan.trials) as executor, progress:
            for at_once in _blocks(plan.seeds, executor):
                if not tournament.run_draws(at_once, store, executor, progress.on_record):
                    break
                progress.on_draw(tournament)
            table = tournament.standings()
            if not table:
                raise FewshotError(f"no trial succeeded ({tournament.failure()}): add another method")
            winner = table[0].method

            def accuracies_with(shots: int, seeds: Sequence[int]) -> list[float]:
                """Return the winner's accuracies on draws with another number of training images."""
                fewer = make_plan(
                    {winner: learners[winner]}, images, replace(draws, shots=shots), seeds, machine
                )
                records = run(list(fewer.trials), store, executor, progress.on_record)
                return [record.accuracy for record in records if record.ok]

            points = _curve(winner, tournament, plan, accuracies_with, clock)
        findings = Findings(
            table,
            tournament.costs,
            tournament.records,
            points,
            hard_images(tournament.records, store),
            repeated,
            images.small,
            plan.protocol,
            command,
        )
        if export:
            model = save_winner(findings, plan, store, folder / "model.keras", progress.say)
            findings = replace(findings, model=model)
    with writing(folder):
        findings = replace(findings, figures=findings.plot(folder, open_splits(images.large.folder)))
        content = json.dumps(findings.document(), indent=1)
        (folder / "comparison.json").write_text(content, encoding="utf-8")
    return findings


def _blocks(draws: Sequence[int], executor: Executor) -> list[Sequence[int]]:
    """Return the draws one by one; where seeds train together, as many at once as no method stops before."""
    size = selection.LEAST_DRAWS if executor.trains_together else 1
    return [draws[start : start + size] for start in range(0, len(draws), size)]


def _keeps_apart(plan: Plan) -> bool:
    """Tell whether draws keep near-duplicates on one side."""
    return plan.protocol.name == "distinct"


def _too_short(tournament: Tournament, clock: Clock) -> UsageError:
    gone = clock.budget - clock.left()
    again = f"; {gone:.0f} s went into reading the images, which are kept: try again" if gone > 10 else ""
    return UsageError(
        f"a budget of {clock.budget:.0f} s is too short for five draws of any strategy: "
        f"the cheapest takes about {tournament.least():.0f} s in all{again}"
    )


def _announcement(
    plan: Plan, tournament: Tournament, clock: Clock, repeated: Sequence[np.ndarray]
) -> list[str]:
    """Return what is compared, what does not fit into the budget, and which images repeat, a line each."""
    protocol, data = plan.protocol, plan.data
    left_out = [name for name in plan.learners if name not in tournament.active]
    lines = [
        f"{data.name}: {len(data.classes)} classes, {protocol.shots} training images each ({protocol.name})",
        f"strategies: {', '.join(tournament.active)}",
    ]
    if left_out:
        minutes = plural(round(clock.budget / 60), "minute")
        lines.append(f"not within {minutes}: {', '.join(left_out)} (a longer budget has room)")
    if repeated:
        count = sum(map(len, repeated))
        lines.append(
            f"{count} images are near-duplicates, in {plural(len(repeated), 'group')}: kept on one side"
        )
    return lines


def _curve(
    winner: str,
    tournament: Tournament,
    plan: Plan,
    accuracies_with: Callable[[int, Sequence[int]], list[float]],
    clock: Clock,
) -> dict[int, list[float]]:
    """Return the winner's accuracies with fewer images, shots → one a draw, as far as time allows."""
    most = plan.protocol.shots
    points = {most: list(selection.reporting(tournament.scores[winner]).values())}
    cost = tournament.costs[winner] * CURVE_DRAWS / plan.machine.jobs
    seeds = [draw for draw in plan.seeds if draw % 2 == 1][:CURVE_DRAWS]
    for shots in (count for count in SHOTS if count < most):
        if seeds and cost * SLACK < clock.left(CURVE):
            points[shots] = accuracies_with(shots, seeds)
    return {shots: accuracies for shots, accuracies in sorted(points.items()) if accuracies}
