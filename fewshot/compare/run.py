"""From a folder of photos to an answer: strategies on the same draws, within a budget of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fewshot.compare.answer import answer_of
from fewshot.compare.board import Progress
from fewshot.compare.clock import Clock, check_budget, minutes
from fewshot.compare.course import (
    DRAWING,
    INSPECTING,
    LARGEST_ROUND,
    ROUNDS,
    Course,
    reserve_for_saving,
    shortage,
)
from fewshot.compare.findings import Findings, error_ratio
from fewshot.compare.held_out import Pool, pool_of
from fewshot.compare.inspected import inspected
from fewshot.compare.looks import write_looks
from fewshot.compare.place import place_of
from fewshot.compare.strategies import Strategy
from fewshot.compare.tournament import SLACK, Reserve, Tournament
from fewshot.compare.winner import save_winner
from fewshot.data import Dataset, Prepared, Splits, datasets, open_splits
from fewshot.errors import FewshotError, UsageError
from fewshot.io.files import writing
from fewshot.learners.contract import Learner
from fewshot.trials.plan import Draws, Images, Machine, Plan, make_plan
from fewshot.trials.store import Store
from fewshot.wording import by_reason, plural

BUDGET = 1200.0
# Seconds at the usual speed, roughly.
LOOKING, LOOKED_AT = 5.0, 40  # pictures of where it looks, and as long as so many photos
EXACT = 0.05  # share of the budget that guesses may cost in the end


def compare(
    load: Callable[[Iterable[Learner]], Images],
    strategies: Sequence[Strategy],
    budget: float = BUDGET,
    draws: Draws | None = None,
    machine: Machine | None = None,
    out: str | Path = "results",
    export: bool = True,
    formats: Sequence[str] = ("keras",),
    progress: Progress | None = None,
    command: str = "",
    notes: Sequence[str] = (),
    track: Sequence[str] = (),
) -> Findings:
    """Return which strategy is best for the images, and write pictures, document and model.

    Stage by stage: heads on frozen features, fine-tuning, training from scratch. What comes first is known
    in any case; a longer budget only adds to it. What `out` has recorded is not computed again.

    Parameters
    ----------
    load
        Returns the images that these learners look at, as `fewshot.trials.plan.load_images` does.
    strategies
        What to compare, in order (`fewshot.compare.strategies`).
    budget
        Seconds for all of it, loading and export included.
    draws, machine
        How tasks are drawn (of a folder: repeated stratified folds of all images, unless a protocol or a
        number of shots is given), and where they are computed, as for any plan.
    out
        The folder of the records; pictures, document and model go to a folder of their own in its `compare`.
    export, formats
        Train the winner on all images and save it, in these formats.
    progress
        Is told how it goes.
    command
        The command line, for the document and the model's card.
    notes
        What `progress` is told before all else.
    track
        Where trials are shown, too (`fewshot.trials.trackers`).

    Raises
    ------
    UsageError
        For a budget that is too short, and for what `make_plan` refuses.
    FewshotError
        Where no strategy can run, or files cannot be written.
    """
    check_budget(budget)
    clock, progress = Clock(budget), progress or Progress()
    with progress:
        return _compare(
            load,
            strategies,
            clock,
            draws,
            machine,
            Path(out),
            export,
            formats,
            progress,
            command,
            notes,
            track,
        )


def _compare(
    load: Callable[[Iterable[Learner]], Images],
    strategies: Sequence[Strategy],
    clock: Clock,
    draws: Draws | None,
    machine: Machine | None,
    out: Path,
    export: bool,
    formats: Sequence[str],
    progress: Progress,
    command: str,
    notes: Sequence[str],
    track: Sequence[str],
) -> Findings:
    """Compare, as `compare` says, while `progress` is entered."""
    progress.on_stage("reading the photos", clock)
    learners = {strategy.name: strategy.learner for strategy in strategies}
    images = load(learners.values())
    draws, machine = _usual(draws or Draws(), images.small), machine or Machine()
    splits = open_splits(images.small.folder)
    plan = make_plan(learners, images, draws, machine=machine, usual_seeds=ROUNDS * LARGEST_ROUND)
    pool, place = pool_of(plan, splits), place_of(out, images.small)
    progress.say(*notes, *images.small.notes, *_announcement(plan, splits, pool), *place.notes)
    with Store(out).open(track) as store:
        with plan.machine.open(plan.trials) as executor:
            tournament = Tournament(plan, strategies, clock, store, executor, pool, progress=progress)
            trainings = export + (splits.test is not None)
            course = Course(tournament, strategies, plan, images, draws, progress, trainings, export)
            course.run()
            answer = answer_of(tournament)
            if not answer.rows:
                reasons = "; ".join(by_reason(tournament.left_out, "{names}: {why}"))
                raise FewshotError(f"no strategy could run: {reasons}")
            points = course.points.get(answer.winner or "", {})
            answer = answer_of(tournament, error_ratio(points, pool))
            tested = course.measure_test_part()
        here = tournament.on_this_machine
        progress.on_stage(
            "looking at the photos themselves",
            clock,
            0,
            here(Reserve(INSPECTING)),
            "saving" if export else "",
        )
        inspection = inspected(answer, images, pool, plan.machine, progress.say)
        findings = Findings(
            answer,
            tournament.left_out,
            points,
            tested,
            images,
            plan.protocol,
            pool,
            inspection,
            place,
            command,
        )
        if export and answer.winner:
            saving = reserve_for_saving(plan.learners[answer.winner], tournament.costs[answer.winner])
            title = f"training {answer.winner} on all photos, saving it"
            progress.on_stage(title, clock, 0, here(saving), "pictures")
            findings = replace(findings, model=save_winner(findings, plan, formats, progress.say))
            findings = _with_looks(findings, plan, tournament, progress)
    progress.on_stage("drawing the pictures", clock, 0, here(Reserve(DRAWING)))
    findings = findings.written()
    progress.say(*place.replaced(findings.model), *_lateness(clock))
    return findings


def _with_looks(findings: Findings, plan: Plan, tournament: Tournament, progress: Progress) -> Findings:
    """Return the findings with pictures of where the saved model looks, as time allows; none of another's."""
    winner = findings.winner
    if not (winner and findings.model and findings.model["method"] == winner and findings.answer.promise):
        return findings
    learner, clock = plan.learners[winner], tournament.clock
    needed = tournament.on_this_machine(Reserve(LOOKING, learner.feature_seconds(LOOKED_AT)))
    drawing = tournament.on_this_machine(Reserve(DRAWING))
    left = clock.left() - drawing
    if left < needed:
        why = shortage(needed, left, clock.budget + SLACK * (needed - left))
        return replace(findings, left_out={**findings.left_out, "pictures of where it looks": why})
    progress.on_stage(f"pictures of where {winner} looks", clock, 0, needed)
    data, folder = findings.images.of(learner), findings.place.folder
    try:
        with writing(folder):
            photos, model = findings.photos[0], Path(findings.model["path"])
            looks = write_looks(
                photos, data, findings.pool.part, model, folder, lambda: clock.left() - drawing
            )
    except UsageError:  # no model of feature maps
        return findings
    return replace(findings, looks=looks)


def _usual(draws: Draws, images: Prepared) -> Draws:
    """Return the draws; of a folder, folds of all its images where nobody says how they are drawn."""
    if images.name in datasets or draws.protocol or draws.shots:
        return draws
    return replace(draws, protocol="folds")


def _announcement(plan: Plan, splits: Splits, pool: Pool) -> list[str]:
    """Return what is compared, and which images stay unused, a line each."""
    data = plan.data
    counts = np.bincount(splits.train.y, minlength=len(data.classes))
    named = [f"{name} {count:,}" for name, count in zip(data.classes, counts, strict=True)]
    named = pool.of_classes(named)
    lines = [
        f"{data.name}: {plural(len(named), 'class', 'classes')} ({', '.join(named)})",
        f"draws: {plan.protocol}; strategies: {', '.join(plan.learners)}",
    ]
    if pool.prior == "natural":
        lines.append("classes count in training as often as they come")
    if pool.same_classes and not pool.folds and pool.part == "train":
        shots = pool.training // len(named)
        lines.append(
            f"each draw trains on {plural(shots, 'image')} of each class, {pool.training} of {pool.count}: "
            "without a protocol or a number of shots, draws train on nearly all"
        )
    if splits.test is not None:
        lines.append(f"its {plural(_count(splits.test, pool), 'test image')} stand apart until the end")
    return lines


def _count(part: Dataset, pool: Pool) -> int:
    """Return how many images of a part are of the draws' classes."""
    return int(np.isin(part.y, pool.classes).sum()) if pool.classes else len(part)


def _lateness(clock: Clock) -> list[str]:
    """Return a line where the budget was overdrawn by more than guesses may cost."""
    late = -clock.left()
    if late <= EXACT * clock.budget:
        return []
    return [f"this took {minutes(clock.gone())}, {minutes(late)} more than the budget: guesses were too low"]
