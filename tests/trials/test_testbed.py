"""The testbed: the same results in any order and on any number of workers; nothing is lost when it breaks.

Most tests use learners of their own, which need NumPy alone and take no time.
"""

import json
import math
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from helpers import Brightness, timeless, trials_of

from fewshot.data import DataSpec, prepare
from fewshot.data.protocols import Protocol
from fewshot.errors import FewshotError
from fewshot.learners.keras_network import KerasLearner
from fewshot.stats.comparison import analyse
from fewshot.training.recipe import Recipe
from fewshot.trials.executor import LIVES
from fewshot.trials.run import _with_checkpoint
from fewshot.trials.store import Store
from fewshot.trials.trial import Trial


@dataclass
class Counting(Brightness):
    """Leaves a line in a file at each fit."""

    log: Path = Path()

    def fit(self, train, seed, watch=None, checkpoint=None):
        with open(self.log, "a") as file:
            file.write(f"{seed}\n")
        return super().fit(train, seed, watch)

    def describe(self):
        described = super().describe()
        del described["log"]  # where it stands changes nothing
        return described

    def count(self):
        return len(self.log.read_text().split()) if self.log.exists() else 0


@dataclass
class Importing(Counting):
    """Leaves a line that says whether its process has imported TensorFlow."""

    def fit(self, train, seed, watch=None, checkpoint=None):
        with open(self.log, "a") as file:
            file.write(f"{'tensorflow' in sys.modules}\n")
        return Brightness.fit(self, train, seed, watch)


@dataclass
class Interrupted(Counting):
    """As if Ctrl-C were pressed during the third trial."""

    def fit(self, train, seed, watch=None, checkpoint=None):
        if self.count() == 2:
            raise KeyboardInterrupt
        return super().fit(train, seed, watch)


@dataclass
class KillsItsWorkerOnce(Counting):
    """Dies as from the kernel's hand the first time it trains on seed 1."""

    def fit(self, train, seed, watch=None, checkpoint=None):
        first = str(seed) not in (self.log.read_text().split() if self.log.exists() else [])
        super().fit(train, seed, watch)
        if seed == 1 and first:
            die()
        return self


@dataclass
class AlwaysKillsItsWorker(Counting):
    """Dies as soon as a worker receives it."""

    def __setstate__(self, state):
        vars(self).update(state)
        with open(self.log, "a") as file:
            file.write(".\n")
        die()


def die():
    assert multiprocessing.parent_process(), "only workers may die"
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def digits():
    return prepare(DataSpec("digits"))


def keras_trials(digits, *expansions, seeds, epochs=2):
    recipe = Recipe(epochs=epochs)
    learners = {name: KerasLearner(recipe=recipe, offline=name) for name in expansions}
    protocol = Protocol("stratified")
    return [
        Trial(name, learner, protocol, digits, seed) for seed in seeds for name, learner in learners.items()
    ]


# The same results, however they are run


def test_one_job_and_two_jobs_give_the_same_records(data, results):
    trials = trials_of(data, Brightness(), Brightness(5.0))
    assert timeless(results(trials, "one")) == timeless(results(trials, "two", jobs=2))


def test_workers_import_tensorflow_for_learners_that_use_it_alone(data, results, tmp_path):
    learner = Importing(log=tmp_path / "log")
    threads = 2  # so that workers are new: those of another test may have imported it
    results(trials_of(data, learner, seeds=2, threads=threads), jobs=2)
    assert learner.log.read_text().split() == ["False"] * 2


def test_any_order_gives_the_same_records(data, results):
    trials = trials_of(data, Brightness(), Brightness(5.0))
    records = results(trials, "forth")
    assert timeless(records) == timeless(results(trials[::-1], "back"))
    assert [(r.method, r.seed) for r in records] == [(t.method, t.seed) for t in trials]


@pytest.mark.processes
def test_keras_learners_give_the_same_records_in_any_order_and_on_any_number_of_workers(digits, results):
    trials = keras_trials(digits, "none", "flip", seeds=range(2))
    expected = timeless(results(trials, "one"))
    assert timeless(results(trials, "two", jobs=2)) == expected
    assert timeless(results(trials[::-1], "back")) == expected


# Resuming


def test_a_second_run_computes_nothing(data, results, tmp_path):
    learner = Counting(log=tmp_path / "log")
    seen = []
    records = results(trials_of(data, learner))
    again = results(trials_of(data, learner), on_record=lambda trial, record, fresh: seen.append(fresh))
    assert again == records
    assert seen == [False] * 3
    assert learner.count() == 3


def test_fresh_computes_all_anew_and_the_later_records_count(data, results, tmp_path):
    learner = Counting(log=tmp_path / "log")
    first = results(trials_of(data, learner))
    anew = results(trials_of(data, learner), fresh=True)
    assert timeless(anew) == timeless(first)
    assert learner.count() == 6
    assert results(trials_of(data, learner)) == anew


def test_more_seeds_compute_the_new_ones_only(data, results, tmp_path):
    learner = Counting(log=tmp_path / "log")
    results(trials_of(data, learner, seeds=2))
    results(trials_of(data, learner, seeds=4))
    assert learner.log.read_text().split() == ["0", "1", "2", "3"]


def test_interrupted_and_resumed_is_uninterrupted(data, results, tmp_path):
    log = tmp_path / "log"
    with pytest.raises(KeyboardInterrupt):
        results(trials_of(data, Interrupted(log=log), seeds=5))
    log.write_text(log.read_text() + "the third\n")
    seen = []
    records = results(
        trials_of(data, Interrupted(log=log), seeds=5),
        on_record=lambda trial, record, fresh: seen.append((trial.seed, fresh)),
    )
    assert seen == [(0, False), (1, False), (2, True), (3, True), (4, True)]
    undisturbed = results(trials_of(data, Interrupted(log=tmp_path / "other"), seeds=2), "undisturbed")
    undisturbed += results(trials_of(data, Interrupted(log=log), seeds=5), "undisturbed")[2:]
    assert timeless(records) == timeless(undisturbed)


@pytest.mark.parametrize("curves", [False, True])
def test_curves_are_computed_where_the_record_lacks_them(data, results, tmp_path, curves):
    learner = Counting(log=tmp_path / "log")
    (without,) = results(trials_of(data, learner, seeds=1))
    (record,) = results(trials_of(data, learner, seeds=1, curves=curves))
    assert learner.count() == 1 + curves
    assert ("held_out_loss" in record.curve) is curves
    assert record.accuracy == without.accuracy
    for again in (curves, False):  # they are there now, and do no harm to who does not ask for them
        assert results(trials_of(data, learner, seeds=1, curves=again)) == [record]
    assert learner.count() == 1 + curves


@pytest.mark.parametrize("spoil", ["status", "accuracy", "classes", "curve"])
def test_an_older_versions_record_is_computed_again(data, results, tmp_path, spoil):
    """Where a field was added since, or has become another kind of thing."""
    learner = Counting(log=tmp_path / "log")
    first = results(trials_of(data, learner, seeds=1))
    path = tmp_path / "results" / "trials.jsonl"
    record = json.loads(path.read_text())
    older = {**record, "curve": [1]} if spoil == "curve" else {k: v for k, v in record.items() if k != spoil}
    path.write_text(json.dumps(older) + "\n")
    (again,) = results(trials_of(data, learner, seeds=1))
    assert learner.count() == 2
    assert again.accuracy == first[0].accuracy


def test_two_runs_at_once_are_refused(data, results, tmp_path):
    learner = Counting(log=tmp_path / "log")
    with Store(tmp_path / "results").open(), pytest.raises(FewshotError, match="another run is writing"):
        results(trials_of(data, learner))
    assert learner.count() == 0


# What goes wrong


def test_a_killed_worker_costs_nothing_but_time(data, results, tmp_path, capsys):
    expected = results(trials_of(data, Brightness(), seeds=5), "undisturbed")
    learner = KillsItsWorkerOnce(log=tmp_path / "log")
    records = results(trials_of(data, learner, seeds=5), jobs=2)
    assert [r.accuracy for r in records] == [r.accuracy for r in expected]
    assert learner.log.read_text().split().count("1") >= 2
    assert capsys.readouterr().err == "a worker process died: its trial runs again\n"
    assert results(trials_of(data, learner, seeds=5)) == records


def test_workers_that_keep_dying_end_the_run(data, results, tmp_path, capsys):
    kept = results(trials_of(data, Brightness(), seeds=1))
    learner = AlwaysKillsItsWorker(log=tmp_path / "log")
    with pytest.raises(FewshotError, match="fewer jobs="):
        results([*trials_of(data, Brightness(), seeds=1), *trials_of(data, learner, seeds=3)], jobs=2)
    assert learner.count() >= LIVES
    assert len(capsys.readouterr().err.splitlines()) == LIVES - 1
    assert results(trials_of(data, Brightness(), seeds=1)) == kept


def test_a_diverged_trial_is_recorded_shown_and_excluded(data, results):
    trials = trials_of(data, Brightness(), Brightness(diverges=(1,)))
    trials = [replace(t, learner=replace(t.learner, scale=3.0)) if t.method == "b" else t for t in trials]
    shown = []
    records = results(trials, on_record=lambda trial, record, fresh: shown.append(record.status))
    assert shown == ["ok", "ok", "ok", "failed", "ok", "ok"]
    failed = records[3]
    assert failed.reason == "the loss was no longer finite at update 3 of 10"
    assert failed.accuracy is failed.nll is failed.n_train is None
    assert failed.seconds >= 0
    by_method = {name: [r for r in records if r.method == name] for name in "ab"}
    _, row = analyse(by_method, "a")
    assert (row.n, row.failed, row.delta.n) == (2, 1, 2)
    assert row.mean == pytest.approx(np.mean([records[1].accuracy, records[5].accuracy]))
    assert results(trials) == records  # a failed trial would fail again: it is not computed anew


def test_a_keras_learner_that_diverges_is_recorded_as_failed(digits, results, tmp_path):
    trial = replace(
        keras_trials(digits, "none", seeds=[0])[0],
        learner=KerasLearner(recipe=Recipe(epochs=20, learning_rate=1e20)),
    )
    (record,) = results([trial])
    assert record.status == "failed"
    assert "no longer finite" in record.reason
    assert not list((tmp_path / "results" / "predictions").glob("*.npz"))
    after = results(keras_trials(digits, "none", seeds=[0], epochs=1), "after")
    assert math.isfinite(after[0].nll)


def test_a_fault_in_a_later_task_is_found_before_the_first_training(data, results, tmp_path):
    learner = Counting(log=tmp_path / "log")
    trials = trials_of(data, learner)
    trials[-1] = replace(trials[-1], protocol=Protocol("testbed", shots=5000))
    with pytest.raises(FewshotError, match="shots="):
        results(trials)
    assert learner.count() == 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_many_trials_in_one_process_do_not_fill_the_memory(digits, results):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    sizes = []
    trials = keras_trials(digits, "none", seeds=range(35), epochs=1)
    results(trials, on_record=lambda trial, record, fresh: sizes.append(resident()))
    assert len(sizes) == 35
    assert sizes[-1] - sizes[4] < 40e6


@pytest.mark.parametrize(("protocol", "kept"), [("deic", True), ("full", True), ("testbed", False)])
def test_long_trainings_keep_checkpoints(data, tmp_path, protocol, kept):
    trial = Trial("a", Brightness(), Protocol(protocol, None), data, 0)
    assert _with_checkpoint(trial, tmp_path).checkpoint == (tmp_path if kept else None)
