"""From a folder to an answer: who takes part, who stops, what is said, within the budget."""

import contextlib
import functools
import io
import json
import re
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
from helpers import Brightness, kept, one_line
from PIL import Image

import experiments.compare
from experiments import augment
from fewshot import backend
from fewshot.compare import run as comparing
from fewshot.compare.board import Board
from fewshot.compare.clock import Clock
from fewshot.compare.hard import hard_images
from fewshot.compare.run import compare
from fewshot.compare.strategies import strategies, usual_methods
from fewshot.compare.tournament import Tournament, pool
from fewshot.data import DataSpec, Splits
from fewshot.data.protocols import Protocol
from fewshot.methods.catalogue import methods as catalogue
from fewshot.stats.selection import APART, Pool
from fewshot.trials import plan as plans
from fewshot.trials.plan import Draws, Images, Machine, load_images, make_plan
from fewshot.trials.processes import Processes
from fewshot.trials.store import Store


def _tournament(data, budget=600, jobs=1, costs=None, **learners):
    """Return a tournament of learners on the blobs; costs: 0.1 s a trial, unless given."""
    costs = costs or dict.fromkeys(learners, 0.1)
    machine = Machine(jobs=jobs, device="cpu")
    learners = {name: learners.get(name, Brightness()) for name in costs}
    plan = make_plan(learners, Images(data, data, data), Draws(), range(10), machine)
    return Tournament(plan, costs, Clock(budget))


def _run_draws(tournament, store, draws):
    return [tournament.run_draws([draw], store, Processes(1), lambda *_: None) for draw in draws]


def test_only_what_fits_takes_part(data):
    costs = {"dear": 100.0, "cheap": 1.0, "middling": 20.0}
    assert _tournament(data, 400, 2, costs).active == ["cheap", "middling"]
    assert _tournament(data, 3600, 2, costs).active == ["cheap", "middling", "dear"]
    short = _tournament(data, 10, 2, costs)
    assert short.active == []
    assert 20 < short.least() < 60


def test_all_meet_the_same_draws_and_the_hopeless_stop(data, tmp_path):
    """A negative scale takes the class that is farthest."""
    tournament = _tournament(data, good=Brightness(), bad=Brightness(scale=-20.0))
    with Store(tmp_path).open() as store:
        assert all(_run_draws(tournament, store, range(8)))
    assert tournament.stopped == {"bad": 5}
    assert sorted(tournament.records["good"]) == list(range(8))
    assert sorted(tournament.records["bad"]) == list(range(5))
    table = tournament.standings()
    assert [row.method for row in table] == ["good", "bad"]
    assert table[0].accuracy.n == 4  # the second, fourth, sixth and eighth draw


def test_drawing_ends_with_its_share_of_the_budget(data, tmp_path):
    tournament = _tournament(data, good=Brightness())
    tournament.costs["good"] = 1e6
    with Store(tmp_path).open() as store:
        assert _run_draws(tournament, store, [0]) == [True]  # the first one measures what a draw costs
        tournament.costs["good"] = 1e6
        assert _run_draws(tournament, store, [1]) == [False]


def test_the_dearest_drops_out_unless_it_leads(data, tmp_path):
    tournament = _tournament(data, good=Brightness(), bad=Brightness(scale=-20.0))
    with Store(tmp_path).open() as store:
        assert _run_draws(tournament, store, [0]) == [True]
        tournament.costs |= {"bad": 1e6}
        assert _run_draws(tournament, store, [1]) == [True]
        assert tournament.active == ["good"]
        assert sorted(tournament.records["bad"]) == [0]


class Terminal(io.StringIO):
    """A stream that keeps what a terminal would show of it."""

    def isatty(self):
        return True

    def screen(self):
        lines, row, column = [""], 0, 0
        for piece in re.findall(r"\x1b\[A|.|\n", self.getvalue(), re.DOTALL):
            if piece == "\x1b[A":
                row -= 1
            elif piece == "\n":
                row, column = row + 1, 0
                lines += [""] * (row == len(lines))
            elif piece == "\r":
                column = 0
            else:
                lines[row] = lines[row][:column].ljust(column) + piece + lines[row][column + 1 :]
                column += 1
        return [line.rstrip() for line in lines]


def _watched(data, tmp_path, stream, monkeypatch):
    """Compare over six draws before `stream`; yield the leaderboard after each."""
    monkeypatch.setattr("sys.stderr", stream)
    tournament = _tournament(data, good=Brightness(), bad=Brightness(scale=-20.0))
    with Store(tmp_path).open() as store, Board() as board:
        for draw in range(6):
            tournament.run_draws([draw], store, Processes(1), board.on_record)
            board.on_draw(tournament)
            yield tournament.leaderboard()


def test_on_a_terminal_the_table_is_redrawn_in_place(data, tmp_path, monkeypatch):
    terminal = Terminal()
    for table in _watched(data, tmp_path, terminal, monkeypatch):
        assert terminal.screen()[: len(table)] == [line.rstrip() for line in table]
        assert not any(terminal.screen()[len(table) :])
    assert not any(terminal.screen())  # cleared for the verdict


def test_elsewhere_a_trial_is_a_line_and_no_table_repeats(data, tmp_path, monkeypatch):
    stream = io.StringIO()
    assert len(list(_watched(data, tmp_path, stream, monkeypatch))) == 6
    lines = stream.getvalue().splitlines()
    assert len([line for line in lines if line.startswith("draw")]) == len(lines) - 1 == 6 + 5
    assert lines[10] == "stopped, clearly behind: bad"
    assert "\x1b" not in stream.getvalue()


def test_where_nothing_succeeds_nobody_wins(data, tmp_path):
    tournament = _tournament(data, bad=Brightness(diverges=(0, 1)))
    with Store(tmp_path).open() as store:
        assert all(_run_draws(tournament, store, range(2)))
    assert tournament.standings() == []
    assert "no longer finite" in tournament.failure()


def test_images_that_every_method_gets_wrong(tmp_path):
    """Image 7 is called 1 by both methods, twice; image 8 is right once; image 9 was held out once only."""
    store = Store(tmp_path)
    records = {"a": {}, "b": {}}
    with store.open():
        for name in records:
            for draw, index in enumerate(([7, 8, 9], [7, 8])):
                answers = [1, int(name == "a" and draw == 0), 1][: len(index)]
                predictions = {
                    "probabilities": np.eye(2)[answers].astype(np.float16),
                    "labels": np.zeros(len(index), np.int64),
                    "index": np.array(index),
                    "part": np.array("train"),
                }
                records[name][draw] = kept(name, draw, 50.0, classes=["a"])
                store.add(records[name][draw], predictions)
        assert hard_images(records, store) == [(7, "train", 1)]


@pytest.fixture
def photos(tmp_path):
    """Two classes of 16 photos, one of them there twice, and one whose label is wrong."""
    rng = np.random.default_rng(0)
    for label, colour in (("räuber & <b>", (200, 60, 60)), ("sea", (60, 60, 200))):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(16):
            noise = rng.integers(-40, 40, (8, 8, 3)).repeat(6, 0).repeat(6, 1)
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.jpg", quality=95)
    copied = (tmp_path / "photos" / "sea" / "3.jpg").read_bytes()
    (tmp_path / "photos" / "sea" / "copy of 3.jpg").write_bytes(copied)
    return tmp_path / "photos"


def test_a_folder_from_photos_to_a_verdict(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(comparing, "MOST_DRAWS", 6)
    options = ["--data", str(photos), "--budget", "2m", "--method", "ridge", "knn-cosine", "--jobs", "1"]
    assert experiments.compare.main([*options, "--json", "--out", str(tmp_path)]) == 0
    printed, errors = capsys.readouterr()
    document = json.loads(printed)
    assert document["verdict"].startswith("Use ")
    assert "2 images are near-duplicates" in errors
    assert document["protocol"]["name"] == "distinct"
    assert document["protocol"]["shots"] == 11  # seven tenths of the smaller class
    assert {row["method"] for row in document["methods"]} == {"ridge", "knn-cosine"}
    assert any("duplicates.png" in path for path in document["figures"])
    assert any("shots.png" in path for path in document["figures"])
    assert json.loads((tmp_path / "compare" / "comparison.json").read_text()) == document
    assert document["model"]["method"] == "ridge"  # neighbours are no network
    assert (tmp_path / "compare" / "model.keras").exists()


def _compare_folder(photos, out, methods=("ridge", "knn"), draws=None, machine=None, **options):
    """Compare in this process, without a model; return the findings."""
    load = functools.partial(load_images, DataSpec(str(photos)))
    machine = machine or Machine(jobs=1, device="cpu")
    return compare(load, strategies(methods), 600, draws, machine, out, export=False, **options)


@pytest.fixture
def few_draws(monkeypatch):
    """Two draws, and no curve of shots."""
    monkeypatch.setattr(comparing, "MOST_DRAWS", 2)
    monkeypatch.setattr(comparing, "SHOTS", ())


def test_of_many_copies_a_scene_counts_once(photos, tmp_path, few_draws):
    for number in range(20):
        copied = (photos / "sea" / "3.jpg").read_bytes()
        (photos / "sea" / f"another {number}.jpg").write_bytes(copied)
    findings = _compare_folder(photos, tmp_path / "out")
    assert findings.protocol.shots == 11  # seven tenths of sixteen scenes
    assert [len(group) for group in findings.repeated] == [22]
    findings = _compare_folder(photos, tmp_path / "out", draws=Draws("stratified"))
    assert (findings.protocol.name, findings.protocol.shots) == ("stratified", 11)
    assert list(findings.repeated) == []


def test_a_comparison_has_the_tasks_and_keys_of_a_study(photos, tmp_path, few_draws):
    """What `compare` has recorded, a study of the same methods does not compute again, and they agree."""
    methods = ("ridge", "knn-cosine", "bn:epochs=1")
    findings = _compare_folder(photos, tmp_path, methods)
    assert list(findings.records) == list(methods)
    options = (
        "--data",
        str(photos),
        "--seeds",
        "2",
        "--jobs",
        "1",
        "--device",
        "cpu",
        "--out",
        str(tmp_path),
    )
    before = (tmp_path / "trials.jsonl").read_text()
    assert augment.STUDY.main([*options, "--method", *methods]) == 0
    added = (tmp_path / "trials.jsonl").read_text().removeprefix(before)
    assert {json.loads(line)["method"] for line in added.splitlines()} == {augment.STUDY.baseline}
    result = json.loads((tmp_path / "augment" / "result.json").read_text())
    assert result["protocol"] == findings.records["ridge"][0].protocol


def test_a_comparison_on_a_cluster_of_this_machine(photos, tmp_path, few_draws):
    pytest.importorskip("distributed")
    machine = Machine(jobs=1, device="cpu", cluster="local")
    on_cluster = _compare_folder(photos, tmp_path / "cluster", machine=machine)
    here = _compare_folder(photos, tmp_path / "here")
    for method, by_draw in here.records.items():
        for draw, record in by_draw.items():
            assert on_cluster.records[method][draw].key == record.key
            assert on_cluster.records[method][draw].nll == record.nll


def test_the_command_line_says_where_to_compute_as_in_the_studies(photos, tmp_path, monkeypatch):
    asked = []

    def stop(load, strategies, budget, draws, machine, out, **options):
        asked.append((draws, machine))
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments.compare, "compare", stop)
    options = ["--cluster", "local", "--jobs", "2", "--threads", "3", "--shots", "4", "--device", "cpu"]
    assert experiments.compare.main(["--data", str(photos), "--out", str(tmp_path), *options]) == 130
    assert asked == [(Draws(shots=4), Machine(2, 3, "cpu", "local"))]


def test_all_draws_are_computed_by_one_executor(photos, tmp_path, monkeypatch, few_draws):
    monkeypatch.setattr(comparing, "SHOTS", (2, 5))
    opened = []

    def open_once(machine, trials):
        opened.append(machine)
        return contextlib.nullcontext(Processes(1))

    monkeypatch.setattr(Machine, "open", open_once)
    assert set(_compare_folder(photos, tmp_path).points) == {2, 5, 11}
    assert len(opened) == 1


@dataclass(frozen=True)
class InBlocks(Processes):
    """In this process, as if seeds of a method trained together."""

    trains_together: ClassVar[bool] = True
    blocks: list = field(default_factory=list)

    def compute(self, pending, work):
        self.blocks.append(sorted({trial.seed for trial in pending.values()}))
        return super().compute(pending, work)


def test_where_seeds_train_together_as_many_draws_run_at_once_as_no_method_stops_before(
    photos, tmp_path, monkeypatch
):
    executor = InBlocks()
    monkeypatch.setattr(comparing, "MOST_DRAWS", 10)
    monkeypatch.setattr(comparing, "SHOTS", ())
    monkeypatch.setattr(Machine, "open", lambda machine, trials: contextlib.nullcontext(executor))
    together = _compare_folder(photos, tmp_path / "together")
    assert [block for block in executor.blocks if block] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    monkeypatch.undo()
    monkeypatch.setattr(comparing, "MOST_DRAWS", 10)
    monkeypatch.setattr(comparing, "SHOTS", ())
    one_by_one = _compare_folder(photos, tmp_path / "one by one")
    assert [row.accuracy for row in together.table] == [row.accuracy for row in one_by_one.table]


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
        (["--budget", "60s", "--method", "best"], "too short for five draws"),
        (["--method", "rigde"], "did you mean 'ridge'"),
    ],
)
def test_wrong_usage(command, args, message):
    done = command("compare", "--data", "digits", *args)
    assert done.returncode == 2
    assert message in one_line(done.stderr)


def test_every_strategy_is_a_method():
    assert [strategy.name for strategy in strategies()] == [method.name for method in usual_methods()]
    assert strategies(["lite", "k-nn"])[0] == next(s for s in strategies() if s.name == "lite-logistic")
    assert all(strategy.learner.describe() for strategy in strategies())


def test_who_looks_at_large_images():
    large = {strategy.name for strategy in strategies() if strategy.learner.looks_at == "large"}
    assert large == {"lite-logistic", "lite-ridge", "two-backbones", "lite-tuned-96"}


def test_every_name_of_the_catalogue_can_be_compared():
    names = list(catalogue)
    assert [strategy.name for strategy in strategies(names)] == names
    assert {"bn", "lite-ridge", "online:flip", "numpy-fc3"} <= set(names)


def test_a_changed_method_is_thought_to_cost_what_the_method_costs():
    first, changed = strategies(["lite-logistic", "best:ensemble_size=2"])
    assert first.cost == catalogue["lite-logistic"].cost_seconds
    assert changed.cost == catalogue["best"].cost_seconds


def test_what_draws_share(blobs):
    first = np.concatenate([np.flatnonzero(blobs.train.y == label)[:20] for label in (0, 1)])
    few = Splits("few", blobs.train.take(first))
    protocol = Protocol("stratified", None, 14, classes=("a", "b"))
    assert pool(protocol, few) == Pool(12 / 28, 40)
    assert pool(protocol, Splits("tested", few.train, blobs.test)) == APART  # one test part
    assert pool(Protocol("testbed", 2, 14), blobs) == APART  # other classes from draw to draw
