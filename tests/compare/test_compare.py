"""From a folder to an answer: who takes part, who stops, what is said, within the budget."""

import contextlib
import functools
import io
import itertools
import json
import re
import shutil
import time
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import Brightness, kept, one_line
from PIL import Image

import experiments.compare
from experiments import augment
from fewshot import backend, cli
from fewshot.backbones.efficientnet import LITE0
from fewshot.compare import course as courses
from fewshot.compare.answer import Answer, answer_of, is_behind
from fewshot.compare.board import Board
from fewshot.compare.clock import Clock, share_of_core, typed
from fewshot.compare.course import Course
from fewshot.compare.hard import hard_images
from fewshot.compare.held_out import HeldOut, Pool, held_out, pool_of
from fewshot.compare.inspected import inspected
from fewshot.compare.looks import write_looks
from fewshot.compare.photos import Photo
from fewshot.compare.place import place_of
from fewshot.compare.run import compare
from fewshot.compare.strategies import Strategy, strategies, usual_methods
from fewshot.compare.tournament import Reserve, Tournament
from fewshot.compare.verdict import photos_ahead, verdict
from fewshot.data import Dataset, DataSpec, Splits, open_splits, prepare
from fewshot.data.views import VIEWS
from fewshot.errors import FewshotError, UsageError, field, render
from fewshot.io.progress import bar
from fewshot.methods.catalogue import methods as catalogue
from fewshot.report.comparison import Row
from fewshot.report.groups import gather
from fewshot.stats import learning_curve
from fewshot.stats.intervals import Estimate
from fewshot.stats.promise import promise
from fewshot.trials import plan as plans
from fewshot.trials import run
from fewshot.trials.executor import OutOfTime, forever
from fewshot.trials.plan import Draws, Images, Machine, load_images, make_plan
from fewshot.trials.processes import Processes
from fewshot.trials.store import Store
from fewshot.wording import by_reason


@contextlib.contextmanager
def _tournament(data, folder, budget=600.0, reserve=0.0, costs=None, **learners):
    """Yield a tournament of learners on the blobs, ten draws a round; costs: 0.1 s a trial, unless given."""
    candidates = [Strategy(name, learner, (costs or {}).get(name, 0.1)) for name, learner in learners.items()]
    plan = make_plan(learners, Images(data, data, data), Draws(), range(10), Machine(jobs=1, device="cpu"))
    pool = pool_of(plan, open_splits(data.folder))
    with Store(folder).open() as store:
        clock, executor = Clock(budget), Processes(1)
        tournament = Tournament(plan, candidates, clock, store, executor, pool, share=lambda: 1.0)
        tournament.reserve = Reserve(reserve)
        yield tournament, candidates


def test_what_does_not_fit_beside_the_end_is_told(data, tmp_path):
    seconds = {"good": 0.1, "dear": 80.0}
    with _slowly(data, tmp_path, 100, seconds, seconds, reserve=40.0) as (tournament, (good, dear)):
        assert tournament.fits(good, range(10))
        assert not tournament.fits(dear, range(3))  # 80 s of the 60
        _run_course(tournament, [good, dear])
        assert list(tournament.records) == ["good"]
        why = render(tournament.left_out["dear"], cli.flag)
    # A second was good's, and ten are kept for looking at the photos and the pictures.
    assert why == "takes about 1:36 min, and 1:29 min were left: needs --budget 2m"


@contextlib.contextmanager
def _in_order(data, folder, budget, **learners):
    """Yield a tournament of strategies that take 1, 60 and 20 s, in this order."""
    seconds = {"good": 1.0, "dear": 60.0, "cheap": 20.0}
    with _slowly(data, folder, budget, seconds, seconds) as (tournament, candidates):
        yield tournament, candidates


def test_what_is_cheaper_and_weaker_takes_no_place_and_the_budget_that_is_told_has_room(data, tmp_path):
    with _in_order(data, tmp_path / "first", 60) as (tournament, candidates):
        _run_course(tournament, candidates)
        assert list(tournament.records) == ["good"]
        reasons = {name: render(why, cli.flag) for name, why in tournament.left_out.items()}
    assert reasons["dear"].startswith("takes about 1:12 min, and 40 s were left: needs --budget ")
    assert reasons["cheap"].startswith("comes after dear, and takes about 24 s: needs --budget ")
    for name in ("dear", "cheap"):
        budget = cli.seconds(re.search(r"--budget (\w+)", reasons[name])[1])
        with _in_order(data, tmp_path / name, budget) as (tournament, candidates):
            _run_course(tournament, candidates)
            assert name in tournament.records


def test_what_is_recorded_takes_no_time(data, tmp_path):
    with _in_order(data, tmp_path, 3600) as (tournament, candidates):
        _run_course(tournament, candidates)
        known = {name: len(by_draw) for name, by_draw in tournament.records.items()}
    assert set(known) == {"good", "dear", "cheap"}
    with _in_order(data, tmp_path, 60) as (tournament, candidates):
        assert tournament.expected(candidates[1], range(known["dear"])) == 0
        trials = [tournament._trials["dear", draw] for draw in range(10)]
        assert tournament.seconds_of(trials[: known["dear"]]) == 0
        _run_course(tournament, candidates)
        assert {name: len(by_draw) for name, by_draw in tournament.records.items()} == known


class OfFeatures(Brightness):
    """Takes features of a backbone."""

    looks_at, prepares_each_image = "large", True

    def shared(self):
        return ("features",)

    def features_of(self, x):
        return [("squeezenet@48:weights=random", x)]

    def pretrained(self):
        return ("squeezenet@48:weights=random",)


def test_heads_may_take_a_little_more_than_is_left(data, tmp_path):
    """Ten draws of 5 s in the 48 that are left; what takes long, and may take longer than that, may not."""
    costs = {"heads": 5.0, "dear": 50.0}
    learners = {"good": Brightness(), "heads": OfFeatures(2.0), "dear": Brightness(5.0)}
    with _tournament(data, tmp_path, 60, 0, costs, **learners) as (tournament, (_, heads, dear)):
        assert (heads.stage, dear.stage) == (0, 2)
        tournament._lacking = {"heads": {}}  # they are there
        tournament._started, tournament.clock = True, Clock(60, iter([0.0, *[12.0] * 9]).__next__)
        assert tournament.expected(heads, range(10)) == 50
        assert tournament.fits(heads, range(10), over=0.05 * 60)
        assert not tournament.fits(heads, range(10))
        assert not tournament.fits(dear, [0])


def test_features_and_start_have_paces_of_their_own(data, tmp_path, monkeypatch):
    """What was slow to begin says nothing about how long what is computed takes."""
    with _tournament(data, tmp_path, heads=OfFeatures()) as (tournament, (heads,)):
        images = len(range(0, 11000, 110))
        monkeypatch.setattr(
            "fewshot.compare.tournament.missing_seconds", lambda *asked: 20.0 * images / 11000
        )
        times = itertools.count(0.0, 100.0)
        tournament.clock = Clock(600, lambda: next(times))
        assert tournament.expected(heads, [0]) == pytest.approx(20 + 9 + 3 + 0.1)

        def run(trials, store, executor, on_record, on_prepared, left):
            on_prepared(2, 30.0)
            on_prepared(2, 20.0)
            for trial in trials:
                on_record(trial, kept("heads", trial.seed, 50.0, seconds=0.1), True)
            return []

        monkeypatch.setattr("fewshot.compare.tournament.run", run)
        tournament.run(heads, [0])
        assert tournament.pace == pytest.approx((30 + 20) / 20)
        assert tournament.pace_of_start == pytest.approx((200 - 30 - 20) / (9 + 3))


def test_weights_that_nobody_serves_are_asked_for_once(data, tmp_path, monkeypatch):
    asked = []

    def locate(file):
        asked.append(file)
        raise FewshotError("cannot get the weights")

    with _tournament(data, tmp_path, a=OfFeatures(), b=OfFeatures(2.0), c=Brightness()) as (tournament, all_):
        monkeypatch.setattr("fewshot.compare.tournament.locate", locate)
        monkeypatch.setattr("fewshot.compare.tournament.files_to_fetch", lambda text: [LITE0])
        assert tournament.expected(all_[0], [0]) > 7  # of fetching alone
        assert [tournament.fetch(strategy) for strategy in all_[:2]] == [False, False]
        assert tournament.left_out == dict.fromkeys("ab", "cannot get the weights")
    assert len(asked) == 1


class Slow:
    """An executor on which trials of a method take so many seconds, by a clock of its own."""

    shares_disk = trains_together = False

    def __init__(self, seconds):
        self.seconds, self.time = seconds, 0.0

    def compute(self, pending, work, left=forever):
        for position, trial in list(pending.items()):
            if left() < self.seconds[trial.method]:
                self.time += max(0.0, left())
                raise OutOfTime
            self.time += self.seconds[trial.method]
            yield position, work(trial)


@contextlib.contextmanager
def _slowly(data, folder, budget, seconds, costs, reserve=10.0):
    """Yield a tournament whose trials take `seconds` by its own clock, though `costs` are guessed."""
    learners = {name: Brightness(1.0 + i) for i, name in enumerate(seconds)}
    with _tournament(data, folder, budget, reserve, costs, **learners) as (tournament, candidates):
        slow = Slow(seconds)
        tournament._executor, tournament.clock = slow, Clock(budget, lambda: slow.time)
        monitored = run.outcome

        def outcome(trial, task, learner, taken, *others):
            return monitored(trial, task, learner, seconds[trial.method], *others)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(run, "outcome", outcome)
            yield tournament, candidates


def test_a_wave_that_overruns_is_cut_off_and_said_so(data, tmp_path, capsys):
    seconds = {"good": 1.0, "late": 300.0, "last": 2.0}
    costs = {"good": 1.0, "late": 20.0, "last": 90.0}
    with _slowly(data, tmp_path, 100, seconds, costs) as (tournament, candidates):
        _run_course(tournament, candidates)
        assert tournament.clock.gone() <= 100 - 10
        assert set(tournament.records) == {"good"}
        late, last = (render(tournament.left_out[name]) for name in ("late", "last"))
        for_the_end = "what was left is kept for the model and the pictures"
        assert late == f"takes about 3:12 min, and {for_the_end}: needs budget='5m'"
        assert last == "comes after late, and takes about 1:48 min: needs budget='45m'"
    assert "late is given up: the time is up" in capsys.readouterr().err


def test_the_first_strategy_is_never_cut_off_and_what_it_takes_beyond_the_budget_is_told(
    data, tmp_path, capsys
):
    with _slowly(data, tmp_path, 20, {"only": 30.0}, {"only": 1.0}) as (tournament, candidates):
        _run_course(tournament, candidates)
        assert len(tournament.records["only"]) == 1
    told = "takes about 5:30 min in all, 5:10 min more than the budget"  # ten are kept, at a pace of 30
    assert told in capsys.readouterr().err
    with _slowly(data, tmp_path / "known", 60, {"only": 60.0}, {"only": 60.0}) as (tournament, candidates):
        _run_course(tournament, candidates)
    told, stage, *_ = capsys.readouterr().err.splitlines()  # before it begins: once
    assert told.endswith("takes about 1:19 min in all, 19 s more than the budget")
    assert stage.startswith("[0 s of 1:00 min] only")


def test_workers_that_are_late_are_ended():
    trial, begin = types.SimpleNamespace(threads=1, device="cpu"), time.monotonic()
    with pytest.raises(OutOfTime):
        list(Processes(2).compute({0: trial, 1: trial}, lambda trial: time.sleep(120), lambda: 0.1))
    assert time.monotonic() - begin < 60


def test_guesses_follow_the_speed_of_the_machine(data, tmp_path):
    """Ten draws of 8 s were guessed as 2 s: what is guessed as 40 s does not fit the 320 s that are left."""
    seconds, costs = {"good": 8.0, "dear": 160.0}, {"good": 2.0, "dear": 40.0}
    with _slowly(data, tmp_path, 400, seconds, costs) as (tournament, (good, dear)):
        tournament._started = True
        tournament.run(good, range(10))
        assert tournament.pace == 4
        assert tournament.expected(good, range(10)) == 0  # recorded
        others = [replace(tournament._trials["good", draw], seed=20 + draw) for draw in range(3)]
        assert tournament.seconds_of(others) == 3 * 8
        tournament._started = False
        assert tournament.seconds_of(others) == 3 * 8 + 9 * 4
        tournament._started = True
        assert tournament.expected(dear, [0]) == 160
        assert tournament.time_left() == 400 - 80 - 4 * 10


def test_guesses_follow_what_a_process_gets_of_a_core(data, tmp_path):
    with _slowly(data, tmp_path, 400, {"good": 1.0}, {"good": 2.0}) as (tournament, (good,)):
        tournament._measured_share = lambda: 0.25
        assert tournament.pace == 1
        tournament.look_around()
        assert tournament.pace == tournament.pace_of_start == 4
        tournament.run(good, [0])
        assert tournament.pace == 1  # now it is known: 1 s, and 2 were guessed
    assert 0 < share_of_core(0.001) <= 1


def _run_course(tournament, candidates):
    """Run the strategies, without the curve of the winner."""
    plan = type("Plan", (), {"seeds": range(10)})
    course = Course(tournament, candidates, plan, None, None, Board())
    course.measure_curve = lambda: None
    course.run()


def test_more_time_never_knows_less(data, tmp_path):
    learners = {"good": Brightness(), "dear": Brightness(5.0), "dearest": Brightness(7.0)}
    costs = {"dear": 20.0, "dearest": 60.0}
    known = []
    for budget in (60, 120, 600):
        with _tournament(data, tmp_path, budget, costs=costs, **learners) as (tournament, candidates):
            _run_course(tournament, candidates)
            known.append({name: len(by_draw) for name, by_draw in tournament.records.items()})
    assert all(set(less) <= set(more) for less, more in itertools.pairwise(known))
    assert set(known[2]) == {"good", "dear", "dearest"}


def test_the_hopeless_get_few_draws(data, tmp_path):
    """A negative scale takes the class that is farthest."""
    learners = {"good": Brightness(), "bad": Brightness(scale=-20.0)}
    with _tournament(data, tmp_path, **learners) as (tournament, candidates):
        _run_course(tournament, candidates)
        assert sorted(tournament.records["good"]) == list(range(10))
        assert len(tournament.records["bad"]) < 10
        assert is_behind(tournament, "bad")
        found = answer_of(tournament)
    assert [(row.method, row.standing) for row in found.rows] == [("good", "winner"), ("bad", "worse")]


def test_a_strategy_that_cannot_run_drops_out_and_the_others_go_on(data, tmp_path, capsys):
    learners = {"broken": Unusable(), "diverges": Brightness(diverges=tuple(range(10))), "good": Brightness()}
    with _tournament(data, tmp_path, **learners) as (tournament, candidates):
        _run_course(tournament, candidates)
        assert list(tournament.records) == ["good"]
        assert answer_of(tournament).winner == "good"
    assert "there is no such thing" in tournament.left_out["broken"]
    assert "no longer finite" in tournament.left_out["diverges"]
    assert "broken drops out" in capsys.readouterr().err


class Unusable(Brightness):
    """Cannot train on any image."""

    def check(self, shape):
        raise UsageError("there is no such thing")


def _said(answers, labels, rounds=1):
    """Return what a strategy said: its answers, each with 90 %; -1 for an image that was not asked about."""
    answers = np.array(answers)
    probabilities = np.where(np.eye(2)[answers] > 0, 0.9, 0.1)
    probabilities[answers < 0] = np.nan
    labels = np.where(answers < 0, -1, labels)
    return HeldOut(np.repeat(probabilities[None], rounds, 0).astype(np.float32), labels)


def test_images_that_every_strategy_gets_wrong():
    """Image 0 is called 1 by both; 1 is right once; 2 was asked about once only."""
    labels = [0, 0, 0, 1]
    said = {"a": _said([1, 0, 1, 1], labels), "b": _said([1, 1, -1, 1], labels)}
    assert hard_images(said) == [(0, 1)]
    assert hard_images({"a": _said([1, 0, 0, 1], labels, rounds=2)}) == [(0, 1)]
    assert hard_images({}) == []


def test_draws_become_rounds_in_which_each_image_is_held_out_once(tmp_path):
    store, pool = Store(tmp_path), Pool("train", 2, True, np.arange(5))
    records = {}
    with store.open():
        for draw, index in enumerate(([0, 1], [2, 3], [0, 1])):
            predictions = {
                "probabilities": np.eye(2)[[draw % 2] * 2].astype(np.float16),
                "labels": np.array([0, 1]),
                "index": np.array(index),
                "part": np.array("train"),
            }
            records[draw] = kept("a", draw, 50.0, classes=["a", "b"])
            store.add(records[draw], predictions)
        said = held_out(records, store, pool)
    assert said.probabilities.shape == (2, 5, 2)
    assert said.tested.tolist() == [True] * 4 + [False]
    assert said.labels.tolist() == [0, 1, 0, 1, -1]
    assert said.correct()[:4].tolist() == [1, 0, 0, 1]
    assert np.isnan(said.correct()[4])
    assert said.complete.shape == (1, 4, 2)  # no round is whole: their mean


# What is said


def _answer(right, labels, classes=2, standing="winner"):
    labels = np.array(labels)
    answers = np.where(right, labels, (labels + 1) % classes)
    probabilities = np.where(np.eye(classes)[answers] > 0, 0.9, 0.1 / (classes - 1))
    told = promise(probabilities, labels)
    rows = (Row("mine", "", 10, len(labels), told.balanced_accuracy, None, standing, 1.0),)
    return Answer(rows, "mine", {}, told, told.balanced_accuracy)


def test_a_biologist_reads_what_to_use_which_class_is_weak_and_what_was_not_tried():
    labels = np.repeat([0, 1], 50)
    right = np.ones(100, bool)
    right[:20] = False
    lines = verdict(_answer(right, labels), {"ants": 50, "bees": 50}, None, {"best": "it takes 5 min"})
    use = "Use mine: of 100 new photos, as many of each class, it will get about 80 right (68 to 88)."
    assert lines[0] == use
    assert "ants 60, bees 99 or more" in lines[1]
    assert lines[2].startswith("Weakest is ants: 60 of 100 (")
    assert lines[-1] == "Left out: best (it takes 5 min)."


def test_what_it_costs_to_count_unequal_classes_alike_is_said():
    labels = np.repeat([0, 1], [200, 15])
    right = np.ones(215, bool)
    right[:60] = right[200:205] = False
    found = _answer(right, labels)
    lines = [render(line, cli.flag) for line in verdict(found, {"cat": 200, "dog": 15}, None, {})]
    (line,) = (line for line in lines if line.startswith("Classes count alike"))
    assert "cat has 200 photos and dog 15: of new photos as unequal as that, it will get about 70 of" in line
    assert line.endswith("always saying cat gets 93. --prior natural trains for such photos.")
    natural = replace(found, promise=replace(found.promise, prior="natural"), accuracy=None)
    lines = verdict(natural, {"cat": 200, "dog": 15}, None, {})
    assert any("Classes count as often as they come" in line for line in lines)
    assert "guessing on 93" in lines[0]


def test_a_reason_that_several_strategies_have_is_said_once():
    left_out = {"lite": "no weights", "knn": "too few photos", "wide": "no weights"}
    assert by_reason(left_out, "{names}: {why}") == ["lite, wide: no weights", "knn: too few photos"]


def test_a_method_at_chance_is_not_recommended():
    labels = np.repeat([0, 1], 50)
    lines = verdict(_answer(np.arange(100) % 2 == 0, labels), {"a": 50, "b": 50}, None, {})
    assert lines[0].startswith("Nothing here tells these classes apart")
    assert not any("Use" in line for line in lines)


def test_too_little_held_out_names_nobody():
    rows = (Row("mine", "", 1, 4, None, None, "unclear", 1.0),)
    lines = verdict(Answer(rows, None, {}, None, None), {"a": 2, "b": 2}, None, {})
    assert lines[0].startswith("Too few held-out photos")


def test_where_draws_differ_in_their_classes_their_mean_is_told():
    rows = (Row("mine", "", 12, 0, Estimate(81.25, 12, (76.0, 86.0)), None, "winner", 1.0),)
    lines = verdict(Answer(rows, "mine", {}, None, rows[0].accuracy), {"a": 50, "b": 50}, None, {})
    assert lines == ["Use mine: over 12 draws of classes it gets 81.2 % right (76 to 86)."]


def test_what_more_photos_would_bring():
    points = {shots: [100 - 60 * shots**-0.5] * 3 for shots in (5, 10, 20, 40)}
    labels = np.repeat([0, 1], 50)
    right = np.arange(100) % 10 > 0
    lines = verdict(_answer(right, labels), {"a": 50, "b": 50}, learning_curve.fit(points), {})
    assert any(
        "Another 50 photos of each class would bring about 2.9 points (then 93 of 100," in line
        for line in lines
    )
    assert any("For 95 of 100 right, about 200 photos" in line for line in lines)
    ahead = photos_ahead(learning_curve.fit(points), {"a": 50, "b": 50}, Estimate(90.0, 100, None))
    assert {shots: round(told.value) for shots, told in ahead.items()} == {100: 93, 200: 95}
    assert photos_ahead(None, {"a": 50}, None) == {}


class Terminal(io.StringIO):
    """A stream that keeps what a terminal would show of it."""

    def isatty(self):
        return True


def test_a_terminal_shows_stage_time_left_and_what_comes_next(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Board() as board:
        board.on_stage("heads", Clock(120), 10, 30, "fine-tuning")
        board.say("so far: good")
    shown = re.split(r"[\r\n]", terminal.getvalue())
    assert any("heads, then fine-tuning:" in line and "2:00 min left" in line for line in shown)
    assert any(line.startswith("so far: good") for line in shown)


def test_elsewhere_a_stage_is_a_line(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with Board() as board:
        board.on_stage("heads", Clock(120), 10, 30, "fine-tuning")
    assert stream.getvalue() == "[0 s of 2:00 min] heads: about 30 s; then fine-tuning\n"


def test_a_log_is_never_silent_for_long(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("fewshot.compare.board.SILENCE", 0.1)
    monkeypatch.setattr("fewshot.compare.board.REDRAWN", 0.02)

    def lines():
        return stream.getvalue().splitlines()

    with Board() as board:
        board.on_stage("reading the photos", Clock(120))
        assert lines() == []  # as a rule it is quick
        with bar(300, "decoding", "image") as counted:
            counted.update(20)
            _wait_for(lambda: len(lines()) >= 2)
    assert lines()[0] == "[0 s] reading the photos: decoding: 20 of 300 images"
    assert lines()[1] == "[0 s] reading the photos: decoding: 20 of 300 images, 0 s so far"
    told = len(lines())
    time.sleep(0.2)
    assert len(lines()) == told  # it has ended


def _wait_for(ready):
    limit = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("needed", "budget"), [(61, "2m"), (121, "3m"), (181, "4m"), (3000, "1h"), (5000, "90m"), (90000, "25h")]
)
def test_a_budget_is_told_as_one_types_it(needed, budget):
    assert typed(needed) == budget
    assert cli.seconds(budget) >= needed


# On a folder


def _two_classes(folder):
    """Write two classes of 16 photos, one of them twice, and return the folder."""
    rng = np.random.default_rng(0)
    for label, colour in (("räuber & <b>", (200, 60, 60)), ("sea", (60, 60, 200))):
        (folder / label).mkdir(parents=True)
        for number in range(16):
            noise = rng.integers(-40, 40, (8, 8, 3)).repeat(6, 0).repeat(6, 1)
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.jpg", quality=95)
    (folder / "sea" / "copy of 3.jpg").write_bytes((folder / "sea" / "3.jpg").read_bytes())
    return folder


@pytest.fixture
def photos(tmp_path):
    """Two classes of 16 photos, and one photo of these twice."""
    return _two_classes(tmp_path / "photos")


def test_a_folder_from_photos_to_a_verdict(photos, tmp_path, monkeypatch, capsys):
    (photos / "sea" / "notes.txt").write_text("no photo")
    monkeypatch.setattr(courses, "ROUNDS", 1)
    options = ["--data", str(photos), "--budget", "1h", "--method", "ridge", "knn-cosine", "--jobs", "1"]
    assert experiments.compare.main([*options, "--json", "--out", str(tmp_path)]) == 0
    printed, errors = capsys.readouterr()
    document = json.loads(printed)
    assert document["verdict"][0].startswith("Use ")
    assert document["verdict"][1] == f"{document['winner']}: {catalogue[document['winner']].summary}."
    assert document["verdict"][2] == "Classes: räuber & <b> (16 photos), sea (17 photos)."
    note = "left out: 1 file, no images (.txt): sea/notes.txt"
    assert (errors.count(note), document["data_notes"].count(note)) == (1, 1)
    assert document["photos_left_out"][0]["files"] == ["sea/notes.txt"]
    assert "photos: 2 classes (räuber & <b> 16, sea 17)" in errors
    assert document["protocol"]["name"] == "folds"
    assert document["classes"] == {"räuber & <b>": 16, "sea": 17}
    assert {row["method"] for row in document["methods"]} == {"ridge", "knn-cosine"}
    assert all(row["photos"] == 33 for row in document["methods"])
    place = tmp_path / "compare" / "photos"
    assert json.loads((place / "comparison.json").read_text()) == document
    assert {path.name for path in place.glob("*.[ps][nv]g")} == {Path(p).name for p in document["figures"]}
    assert document["model"]["method"] == "ridge"  # neighbours are no network
    assert (place / "model.keras").exists()
    card = json.loads((place / "model.json").read_text())
    assert card["sets"].keys() == {"coverage", "least_probability"}
    assert card["unseen_photos"] == 32  # the copy counts once
    assert card["recall"] == document["promise"]["recall"]
    shown = document["photos"]["shown"]
    assert all((place / photo["thumbnail"]).exists() for photo in shown)
    assert all(photo["file"].endswith(".jpg") and photo["probability"] < 1 for photo in shown)
    (found,) = gather(tmp_path).comparisons  # the report reads what is written, all of it
    assert list(found.told.verdict) == document["verdict"]
    assert list(found.told.data_notes) == document["data_notes"]
    evidence = found.told.evidence
    assert {photo.file for photo in evidence.photos} == {photo["file"] for photo in shown}
    assert sum(map(sum, document["confusion"])) == sum(evidence.bins.count) == 33
    assert len(evidence.suspects) == len(document["inspection"]["findings"])
    recalls = [recall["value"] for recall in document["promise"]["recall"]]
    assert [row[i] for i, row in enumerate(evidence.confusion)] == pytest.approx(recalls)
    # Each measured point has its interval, and those beyond are named apart.
    assert all(point["interval"] for point in document["shots"].values())
    assert min(map(int, document["more_shots"])) == 16 + 50


def test_two_folders_of_one_name_keep_their_models_apart(photos, tmp_path):
    first = prepare(DataSpec(str(photos)))
    other = tmp_path / "elsewhere" / "photos"
    shutil.copytree(photos, other)
    place = place_of(tmp_path / "out", first)
    assert place.folder == tmp_path / "out" / "compare" / "photos"
    assert place.notes == place.replaced(None) == []
    place.folder.mkdir(parents=True)
    (place.folder / "comparison.json").write_text(json.dumps({"source": place.source}))
    again = place_of(tmp_path / "out", first)
    (line,) = again.notes
    assert "holds an earlier comparison of it: the new one takes its place" in line
    assert again.replaced({"method": "heads"}) == []  # there was no model
    (place.folder / "model.json").write_text(json.dumps({"method": "lite-heads"}))
    (place.folder / "model.keras").touch()
    again = place_of(tmp_path / "out", first)
    (line,) = (render(line, cli.flag) for line in again.notes)
    assert "with its model of lite-heads" in line
    assert line.endswith("to keep both: --out DIR")
    (line,) = again.replaced({"method": "heads"})
    assert line.startswith(
        "the earlier model, lite-heads, is replaced by that of heads; to keep both next time"
    )
    (line,) = again.replaced(None)
    assert line.endswith("model.keras is still the earlier comparison's, lite-heads")
    assert place_of(tmp_path / "out", prepare(DataSpec(str(other)))).folder.name == "photos-2"


def test_a_place_below_a_file_is_told_of_where_it_is_written_to(photos, tmp_path):
    (tmp_path / "file").write_text("no folder")
    images = prepare(DataSpec(str(photos)))
    assert place_of(tmp_path / "file", images).folder == tmp_path / "file" / "compare" / "photos"


def _compare_folder(photos, out, methods=("ridge", "knn"), draws=None, machine=None, **options):
    """Compare in this process, without a model; return the findings."""
    load = functools.partial(load_images, DataSpec(str(photos)))
    machine = machine or Machine(jobs=1, device="cpu")
    return compare(load, strategies(methods), 600, draws, machine, out, export=False, **options)


@pytest.fixture
def few_draws(monkeypatch):
    """One round, and no curve of shots."""
    monkeypatch.setattr(courses, "ROUNDS", 1)
    monkeypatch.setattr(courses, "SHOTS", ())


METHODS = ("ridge", "knn-cosine")
EARLIER = ("shots.png", "oddly-shaped.png")


@pytest.fixture(scope="module")
def compared(tmp_path_factory, cache):
    """Photos, the folder that a comparison of them writes to, where pictures lay, and its findings."""
    out = tmp_path_factory.mktemp("compared")
    photos = _two_classes(out / "photos")
    (out / "compare" / "photos").mkdir(parents=True)
    for name in EARLIER:
        (out / "compare" / "photos" / name).write_bytes(b"old")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(courses, "ROUNDS", 1)
        patched.setattr(courses, "SHOTS", ())
        return photos, out, _compare_folder(photos, out, METHODS)


def test_pictures_of_an_earlier_comparison_do_not_stay(compared):
    _, out, findings = compared
    assert not [name for name in EARLIER if (out / "compare" / "photos" / name).exists()]
    assert findings.figures


def test_a_comparison_has_the_tasks_and_keys_of_a_study(compared, tmp_path):
    """What `compare` has recorded, a study of the same methods does not compute again, and they agree."""
    photos, out, findings = compared
    shutil.copy(out / "trials.jsonl", tmp_path)
    before = (tmp_path / "trials.jsonl").read_text()
    options = ("--data", str(photos), "--protocol", "folds", "--seeds", "10", "--jobs", "1", "--updates", "1")
    study = replace(augment.STUDY, plots=())
    assert study.main([*options, "--device", "cpu", "--out", str(tmp_path), "--method", *METHODS]) == 0
    added = (tmp_path / "trials.jsonl").read_text().removeprefix(before)
    assert {json.loads(line)["method"] for line in added.splitlines()} == {augment.STUDY.baseline}
    result = json.loads((tmp_path / "augment" / "result.json").read_text())
    assert result["protocol"] == {"data": "photos"} | findings.protocol.describe() | {
        key: result["protocol"][key] for key in ("content", "prior") if key in result["protocol"]
    }


@pytest.mark.processes
def test_a_comparison_on_a_cluster_of_this_machine(compared, tmp_path, few_draws):
    pytest.importorskip("distributed")
    photos, _, here = compared
    machine = Machine(jobs=1, device="cpu", cluster="local")
    on_cluster = _compare_folder(photos, tmp_path, METHODS, machine=machine)
    assert [row.accuracy for row in on_cluster.answer.rows] == [row.accuracy for row in here.answer.rows]


def test_the_command_line_says_where_to_compute_as_in_the_studies(photos, tmp_path, monkeypatch):
    asked = []

    def stop(load, strategies, budget, draws, machine, out, **options):
        asked.append((draws, machine, options["formats"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments.compare, "compare", stop)
    options = ["--cluster", "local", "--jobs", "2", "--threads", "3", "--shots", "4", "--device", "cpu"]
    command = ["--data", str(photos), "--out", str(tmp_path), *options, "--format", "keras", "tflite"]
    assert experiments.compare.main(command) == 130
    assert asked == [(Draws(shots=4), Machine(2, 3, "cpu", "local"), ["keras", "tflite"])]


def test_all_draws_are_computed_by_one_executor(photos, tmp_path, monkeypatch, few_draws):
    monkeypatch.setattr(courses, "SHOTS", (2, 5))
    opened = []

    def open_once(machine, trials):
        opened.append(machine)
        return contextlib.nullcontext(Processes(1))

    monkeypatch.setattr(Machine, "open", open_once)
    assert set(_compare_folder(photos, tmp_path).points) == {2, 5}
    assert len(opened) == 1


def test_a_gpu_gets_one_process(photos, tmp_path, monkeypatch, few_draws):
    """No face has a rule of its own: on a machine of many cores with a GPU, one process computes."""
    monkeypatch.setattr(backend, "resolve_device", lambda device: "gpu")
    monkeypatch.setattr(plans, "cores", lambda: 8)
    opened = []

    def nothing_computes(machine, trials):
        opened.append((machine.jobs, {trial.device for trial in trials}))
        raise KeyboardInterrupt

    monkeypatch.setattr(Machine, "open", nothing_computes)
    with pytest.raises(KeyboardInterrupt):
        _compare_folder(photos, tmp_path, machine=Machine())
    options = ("--data", str(photos), "--out", str(tmp_path))
    assert augment.STUDY.main([*options, "--seeds", "2", "--method", "ridge"]) == 130
    assert experiments.compare.main([*options, "--method", "ridge", "--no-export"]) == 130
    assert opened == [(1, {"gpu"})] * 3


def test_a_comparison_asks_for_more_processes_than_a_gpu_takes(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(backend, "resolve_device", lambda device: "gpu")
    options = ("--data", str(photos), "--out", str(tmp_path), "--method", "ridge")
    assert experiments.compare.main([*options, "--jobs", "2"]) == 2
    assert "--jobs 2: processes would share the GPU" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--budget", "5s"], "60s are the least"),
        (["--budget", "soon"], "a time, such as"),
        (["--method", "rigde"], "did you mean 'ridge'"),
        (["--format", "pickle"], "invalid choice"),
    ],
)
def test_wrong_usage(command, args, message):
    done = command("compare", "--data", "digits", *args)
    assert done.returncode == 2
    assert message in one_line(done.stderr)


def test_every_strategy_is_a_method_and_heads_come_first():
    names = [strategy.name for strategy in strategies()]
    assert names == [method.name for method in usual_methods()]
    assert [strategy.stage for strategy in strategies()] == sorted(s.stage for s in strategies())
    assert strategies()[0].name == "lite-heads"
    assert strategies(["lite", "k-nn"])[0].name == "lite-logistic"
    assert all(strategy.learner.describe() for strategy in strategies())


def test_every_name_of_the_catalogue_can_be_compared():
    names = list(catalogue)
    assert {strategy.name for strategy in strategies(names)} == set(names)
    assert {"bn", "lite-ridge", "online:flip", "numpy-fc3"} <= set(names)


def test_a_changed_method_is_thought_to_cost_what_the_method_costs():
    first, changed = strategies(["lite-logistic", "best:ensemble_size=2"])
    assert first.cost == catalogue["lite-logistic"].cost_seconds
    assert changed.cost == catalogue["best"].cost_seconds


def test_a_test_part_stands_apart_and_is_measured_at_the_end(photos, tmp_path, few_draws):
    divided = tmp_path / "divided"
    shutil.copytree(photos, divided / "train")
    for label in ("räuber & <b>", "sea"):
        (divided / "test" / label).mkdir(parents=True)
        for number in range(5):
            (divided / "train" / label / f"{number}.jpg").rename(divided / "test" / label / f"{number}.jpg")
        shutil.copy(divided / "train" / label / "9.jpg", divided / "test" / label)
    findings = _compare_folder(divided, tmp_path / "out")
    # Of 12, two are in the training part, too, and so is one whose copy stayed there.
    assert findings.tested.n == 9
    assert all(row.photos == 23 for row in findings.answer.rows)  # of the training part
    document = findings.document()
    assert any("9 test photos" in line for line in document["verdict"])
    both = [one for one in document["inspection"]["findings"] if one["kind"] == "in two parts"]
    assert {(one["file"], one["other"]) for one in both} == {
        ("train/räuber & <b>/9.jpg", "test/räuber & <b>/9.jpg"),
        ("train/sea/9.jpg", "test/sea/9.jpg"),
        ("train/sea/copy of 3.jpg", "test/sea/3.jpg"),
    }
    assert "near-duplicates of photos in another part: 3 of 23" in findings.text()
    assert any(figure.endswith("in-two-parts.png") for figure in findings.figures)


def test_a_test_part_is_not_measured_on_other_classes_than_those_compared(monkeypatch):
    """All classes were once trained and tested, whatever classes were asked for."""
    monkeypatch.setattr(courses, "answer_of", lambda tournament: types.SimpleNamespace(winner="ridge"))
    monkeypatch.setattr(courses, "open_splits", lambda folder: types.SimpleNamespace(test="images"))
    pool = Pool("train", 10, same_classes=False, groups=np.arange(40), folds=True)
    images = types.SimpleNamespace(small=types.SimpleNamespace(folder=None))
    course = types.SimpleNamespace(_tournament=types.SimpleNamespace(pool=pool), _images=images)
    assert Course.measure_test_part(course) is None


def _folder(path, counts, colour=None):
    """Write noise of a colour a class, counts[i] photos of class i; colour: one for all photos, no noise."""
    prng = np.random.default_rng(0)
    for label, count in enumerate(counts):
        (path / f"class {label}").mkdir(parents=True)
        for number in range(count):
            base = np.array([40 * (label % 6), 90 * (label // 6 % 3), 60])
            noise = prng.integers(-30, 30, (8, 8, 3)).repeat(5, 0).repeat(5, 1)
            pixels = np.full((40, 40, 3), colour) if colour else np.clip(base + noise, 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(path / f"class {label}" / f"{number}.png")
    return path


@pytest.fixture(scope="module")
def of_counts(tmp_path_factory, cache):
    """Compare methods on a folder of so many photos a class, each folder once."""

    @functools.cache
    def findings(counts, *methods):
        place = tmp_path_factory.mktemp("counts")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(courses, "ROUNDS", 1)
            patched.setattr(courses, "SHOTS", ())
            return _compare_folder(_folder(place / "photos", counts), place / "out", methods)

    return findings


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((3, 3), "Too few photos to be sure"),
        ((3,) * 20, "Use ridge"),
        ((60, 6), "Use ridge"),
    ],
    ids=["three a class", "twenty classes of three", "one class much larger"],
)
def test_folders_of_few_and_unequal_classes(counts, said, of_counts):
    findings = of_counts(counts, "ridge")
    document = findings.document()
    assert document["verdict"][0].startswith(said)
    assert list(document["classes"].values()) == list(counts)
    if findings.winner:
        low, high = findings.answer.accuracy.interval
        assert 0 <= low < high <= 100


def test_two_photos_a_class_are_too_few_for_a_winner_and_for_three_neighbours(of_counts):
    """What cannot be trained is left out, and the others go on."""
    findings = of_counts((2, 2), "knn-cosine", "ridge")
    document = findings.document()
    assert document["verdict"][0].startswith("Too few held-out photos")
    assert list(document["classes"].values()) == [2, 2]
    assert not findings.winner
    assert [row["method"] for row in document["methods"]] == ["ridge"]
    assert "number of training images" in document["left_out"]["knn-cosine"]
    assert "Left out: knn-cosine (" in findings.text()


def test_a_class_of_one_photo_is_named_with_what_helps(tmp_path):
    folder = _folder(tmp_path / "photos", (8, 8, 1))
    with pytest.raises(UsageError) as caught:
        _compare_folder(folder, tmp_path / "out", ["ridge"])
    said = caught.value.render(cli.flag)
    assert "class 'class 2' has one image" in said
    assert said.endswith("add images of it, or leave it out: --classes class 0 class 1")


def test_of_two_classes_none_can_be_left_out(tmp_path):
    with pytest.raises(UsageError, match=r"'class 1' has one image, .*: add images of it$"):
        _compare_folder(_folder(tmp_path / "photos", (8, 1)), tmp_path / "out", ["ridge"])


def test_reasons_name_options_as_the_face_spells_them(of_counts):
    findings = replace(of_counts((3, 3), "ridge"), left_out={"flip": f"use a larger {field('image_size')}"})
    assert "flip (use a larger --image-size)" in findings.text(cli.flag)
    assert findings.document()["left_out"] == {"flip": "use a larger image_size="}
    assert any("image_size=" in line for line in findings.document()["verdict"])


def test_without_weights_the_look_at_the_photos_leaves_out_what_needs_them(data, tmp_path, monkeypatch):
    def fails(*asked):
        raise FewshotError("cannot get the weights")

    monkeypatch.setattr("fewshot.compare.inspected.extract", fails)
    views = np.zeros((4, len(VIEWS), 8, 8, 3), np.uint8)
    splits = Splits("photos", Dataset(views, np.array([0, 0, 1, 1]), ("a", "b"), np.arange(4)))
    monkeypatch.setattr("fewshot.compare.inspected.open_splits", lambda folder: splits)
    pool, told = Pool("train", 2, True, np.arange(4)), []
    small = types.SimpleNamespace(folder="", files=lambda part: (), directory=None, levels=None)
    images = types.SimpleNamespace(small=small, large=small, views=small)
    found = Answer((), None, {}, None, None)
    assert inspected(found, images, pool, Machine(threads=1, device="cpu"), told.append)
    assert told == ["no outliers are looked for among the photos: cannot get the weights"]


def test_of_photos_that_are_all_the_same_nothing_is_recommended(tmp_path, few_draws):
    folder = _folder(tmp_path / "photos", (8, 8), colour=[90, 90, 90])
    findings = _compare_folder(folder, tmp_path / "out", ["ridge"])
    assert findings.document()["verdict"][0].startswith("Nothing here tells these classes apart")


class Looking:
    """Explains a photo by its red."""

    def __init__(self, model):
        pass

    def __call__(self, photo, label):
        return types.SimpleNamespace(values=photo[..., 0].astype(np.float32) - 100)


def test_pictures_of_where_the_model_looks_as_time_allows(data, tmp_path, monkeypatch):
    monkeypatch.setattr("fewshot.deploy.explain.Explainer", Looking)
    monkeypatch.setattr("fewshot.deploy.saved.read", lambda path: None)
    (tmp_path / "model.json").write_text(json.dumps({"classes": ["a", "b"]}))
    kinds = ["wrong"] * 20 + ["suspicious", "unsure", "right"]
    photos = [
        (index % 22, Photo(kind, f"{index}.jpg", "a", "b", 0.9, "", "")) for index, kind in enumerate(kinds)
    ]
    times = iter([1.0] * 9 + [0.0] * 9)
    looks = write_looks(photos, data, "train", tmp_path / "model.keras", tmp_path, lambda: next(times))
    assert looks == {index: f"looks/{index}.jpg" for index in range(9)}  # then the time is up
    with Image.open(tmp_path / "looks" / "3.jpg") as picture:
        assert max(picture.size) == 224
    looks = write_looks(photos, data, "train", tmp_path / "model.keras", tmp_path, lambda: 1.0)
    assert len(looks) == 10  # the least sure one is new, the surest is among the wrong ones
    assert len(list((tmp_path / "looks").iterdir())) == len(looks)
