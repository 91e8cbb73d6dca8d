"""From a folder to an answer: who takes part, who stops, what is said, within the budget."""

import argparse
import io
import json
import re
import time

import numpy as np
import pytest
from helpers import Brightness, kept, one_line
from PIL import Image

from experiments.compare import STRATEGIES, _draws, _prepared
from fewshot.compare.board import Board
from fewshot.compare.tournament import Clock, Comparison, hard_images, pool
from fewshot.data import Splits, open_splits
from fewshot.data.protocols import Protocol
from fewshot.methods.grammar import learner
from fewshot.stats.selection import APART, Pool
from fewshot.trials.store import Store
from fewshot.trials.testbed import Trial


def _clock(budget):
    return Clock(budget, time.monotonic())


def _trial_of(data, **learners):
    return lambda name, seed: Trial(name, learners[name], Protocol("testbed"), data, seed)


def test_only_what_fits_takes_part(data):
    strategies = {"dear": ("", 100.0), "cheap": ("", 1.0), "middling": ("", 20.0)}
    assert Comparison(strategies, None, jobs=2, clock=_clock(400)).active == ["cheap", "middling"]
    assert Comparison(strategies, None, jobs=2, clock=_clock(3600)).active == ["cheap", "middling", "dear"]
    short = Comparison(strategies, None, jobs=2, clock=_clock(10))
    assert short.active == []
    assert 20 < short.least() < 60


def test_all_meet_the_same_draws_and_the_hopeless_stop(data, tmp_path):
    """A negative scale takes the class that is farthest."""
    trial_of = _trial_of(data, good=Brightness(), bad=Brightness(scale=-20.0))
    comparison = Comparison({"good": ("", 0.1), "bad": ("", 0.1)}, trial_of, jobs=1, clock=_clock(600))
    with Store(tmp_path).open() as store:
        for number in range(8):
            assert comparison.draw(number, store, lambda *_: None)
    assert comparison.stopped == {"bad": 5}
    assert sorted(comparison.records["good"]) == list(range(8))
    assert sorted(comparison.records["bad"]) == list(range(5))
    table = comparison.standings()
    assert [row.method for row in table] == ["good", "bad"]
    assert table[0].accuracy.n == 4  # the second, fourth, sixth and eighth draw


def test_drawing_ends_with_its_share_of_the_budget(data, tmp_path):
    comparison = Comparison({"good": ("", 0.1)}, _trial_of(data, good=Brightness()), 1, _clock(600))
    comparison.costs["good"] = 1e6
    with Store(tmp_path).open() as store:
        assert comparison.draw(0, store, lambda *_: None)  # the first one measures what a draw costs
        comparison.costs["good"] = 1e6
        assert not comparison.draw(1, store, lambda *_: None)


def test_the_dearest_drops_out_unless_it_leads(data, tmp_path):
    trial_of = _trial_of(data, good=Brightness(), bad=Brightness(scale=-20.0))
    comparison = Comparison({"good": ("", 0.1), "bad": ("", 0.1)}, trial_of, jobs=1, clock=_clock(600))
    with Store(tmp_path).open() as store:
        assert comparison.draw(0, store, lambda *_: None)
        comparison.costs |= {"bad": 1e6}
        assert comparison.draw(1, store, lambda *_: None)
        assert comparison.active == ["good"]
        assert sorted(comparison.records["bad"]) == [0]


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
    trial_of = _trial_of(data, good=Brightness(), bad=Brightness(scale=-20.0))
    comparison = Comparison({"good": ("", 0.1), "bad": ("", 0.1)}, trial_of, jobs=1, clock=_clock(600))
    with Store(tmp_path).open() as store, Board(comparison) as board:
        for number in range(6):
            comparison.draw(number, store, board.trial)
            board.drawn()
            yield comparison.leaderboard()


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
    trial_of = _trial_of(data, bad=Brightness(diverges=(0, 1)))
    comparison = Comparison({"bad": ("", 0.1)}, trial_of, jobs=1, clock=_clock(600))
    with Store(tmp_path).open() as store:
        for number in range(2):
            assert comparison.draw(number, store, lambda *_: None)
    assert comparison.standings() == []
    assert "no longer finite" in comparison.failure()


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
                records[name][draw] = kept(name, draw, 50.0)
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


def test_a_folder_from_photos_to_a_verdict(photos, command, tmp_path):
    done = command(
        "compare", "--data", photos, "--budget", "2m", "--method", "ridge", "k-nn", "--jobs", "1", "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"].startswith("Use ")
    assert "2 images are near-duplicates" in done.stderr
    assert found["protocol"]["name"] == "distinct"
    assert found["protocol"]["shots"] == 11  # seven tenths of the smaller class
    assert {row["method"] for row in found["methods"]} == {"ridge", "k-nn"}
    assert any("duplicates.png" in path for path in found["figures"])
    assert any("shots.png" in path for path in found["figures"])


def _compare_options(data, **given):
    return argparse.Namespace(
        **{"data": str(data), "data_dir": None, "image_size": None, "shots": None, "protocol": None}
        | {"classes": None, "ways": None, "unbalanced": False, "limit_train": None}
        | given
    )


def test_tiny_images_are_prepared_once_and_photos_in_two_sizes(photos):
    small, large = _prepared(_compare_options(photos))  # of 48 pixels
    assert [open_splits(data.folder).train.image_shape[0] for data in (small, large)] == [32, 48]
    small, large = _prepared(_compare_options(photos, image_size=64))
    assert small == large


def test_of_many_copies_a_scene_counts_once(photos):
    for number in range(20):
        copied = (photos / "sea" / "3.jpg").read_bytes()
        (photos / "sea" / f"another {number}.jpg").write_bytes(copied)
    args = _compare_options(photos)
    protocol, repeated = _draws(args, _prepared(args)[0])
    assert protocol.shots == 11  # seven tenths of sixteen scenes
    assert [len(group) for group in repeated] == [22]
    protocol, repeated = _draws(_compare_options(photos, protocol="stratified"), _prepared(args)[0])
    assert (protocol.name, protocol.shots, repeated) == ("stratified", 11, [])


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
    for name, (spec, _) in STRATEGIES.items():
        assert learner(spec, {}).describe(), name


def test_what_draws_share(blobs):
    first = np.concatenate([np.flatnonzero(blobs.train.y == label)[:20] for label in (0, 1)])
    few = Splits("few", blobs.train.take(first))
    protocol = Protocol("stratified", None, 14, classes=("a", "b"))
    assert pool(protocol, few) == Pool(12 / 28, 40)
    assert pool(protocol, Splits("tested", few.train, blobs.test)) == APART  # one test part
    assert pool(Protocol("testbed", 2, 14), blobs) == APART  # other classes from draw to draw
