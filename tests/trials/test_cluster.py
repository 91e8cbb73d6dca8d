"""Trials on a Dask cluster of real processes: the results of a local run; nothing is lost when it breaks."""

import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from clusters import Machines, free_port
from helpers import QUICK, Brightness, one_line, records, timeless, trials_of
from test_interrupt import _children, _gone, start
from test_testbed import Counting, KillsItsWorkerOnce, die

from fewshot.errors import FewshotError, UsageError
from fewshot.trials import cluster, executor, transfer, worker
from fewshot.trials.cluster import Cluster
from fewshot.trials.executor import AGAIN

PLUGIN = """
from sklearn.neighbors import KNeighborsClassifier
from fewshot.baselines import estimators

@estimators.register("mine")
def mine(*, neighbours=3):
    "Neighbours of mine."
    return KNeighborsClassifier(neighbours)
"""


@dataclass
class Prepared(Counting):
    """Shares something, which it only tells of."""

    def shared(self):
        return ("something",)

    def prepare(self, task):
        with open(self.log, "a") as file:
            file.write("prepared\n")


@dataclass
class WantsWhatIsNotThere(Brightness):
    """Cannot train at all."""

    def fit(self, train, seed, watch=None, checkpoint=None):
        raise UsageError("there is no such thing")


@dataclass
class AlwaysKillsItsWorker(Brightness):
    """Dies as from the kernel's hand whenever it trains on seed 1."""

    def fit(self, train, seed, watch=None, checkpoint=None):
        if seed == 1:
            die()
        return super().fit(train, seed, watch)


@pytest.fixture(scope="module")
def machines(cache, tmp_path_factory):
    """A scheduler and two workers with a cache of their own, in another folder than these tests."""
    folder = tmp_path_factory.mktemp("machines")
    machines = Machines(folder, folder / "cache")
    machines.start_scheduler()
    machines.start_worker("--nworkers", "2", "--nanny")
    yield machines
    machines.kill()


@pytest.fixture
def own_machines(cache, tmp_path):
    """A scheduler alone, to start workers of and to kill."""
    machines = Machines(tmp_path)
    machines.start_scheduler()
    yield machines
    machines.kill()


@pytest.fixture
def on_cluster(results):
    """Run trials as `results` does, on the cluster at an address."""

    def run_them(address, trials, folder="results", **options):
        with Cluster(address, jobs=2) as executor:
            return results(trials, folder, executor=executor, **options)

    return run_them


# The same results


@pytest.mark.processes
def test_a_study_on_a_local_cluster_equals_one_without(command, study, tmp_path):
    done = command("augment", *QUICK, "--method", "flip", "--cluster", "local", "--jobs", 2)
    assert done.returncode == 0, done.stderr
    assert records(tmp_path / "results") == records(study[0])
    assert "2 jobs × 1 thread;" in done.stderr
    assert "Traceback" not in done.stderr
    assert "distributed" not in done.stderr


def test_records_progress_and_what_is_shared_are_as_in_this_process(machines, data, results, on_cluster):
    trials = trials_of(data, Brightness(), Brightness(5.0, diverges=(1,)), seeds=10)
    expected, seen = results(trials, "here"), []
    found = on_cluster(machines.address, trials, on_record=lambda t, r, fresh: seen.append((r.key, fresh)))
    assert timeless(found) == timeless(expected)
    assert sorted(seen) == sorted((record.key, True) for record in expected)
    again = on_cluster("tcp://127.0.0.1:9", trials)  # all is there: nobody is asked
    assert again == found


def test_what_learners_share_is_prepared_first_and_once_a_task(machines, data, on_cluster, tmp_path):
    learners = Prepared(log=tmp_path / "log"), Prepared(log=tmp_path / "log", scale=5.0)
    seen = []
    on_cluster(machines.address, trials_of(data, *learners), on_prepared=lambda *told: seen.append(told))
    assert [total for total, _ in seen] == [3] * 3
    assert all(seconds >= 0 for _, seconds in seen)
    lines = (tmp_path / "log").read_text().split()
    assert lines[:3] == ["prepared"] * 3
    assert sorted(lines[3:]) == ["0", "0", "1", "1", "2", "2"]


def test_a_task_names_no_images(data):
    import cloudpickle

    (trial,) = trials_of(data, Brightness(), seeds=1)
    assert len(cloudpickle.dumps((worker.Setting.of(trial), trial))) < 5000


# Images


def test_a_machine_that_lacks_the_images_gets_them_once(machines, data, results, on_cluster, monkeypatch):
    expected = results(trials_of(data, Brightness(), seeds=4), "here")
    monkeypatch.chdir(data.folder.parent)
    elsewhere = replace(data, folder=Path("blobs"))  # which leads to nothing where the workers are
    monkeypatch.setattr(transfer, "BLOCK", 1 << 20)
    sent = []
    blocks = transfer.blocks
    monkeypatch.setattr(
        transfer, "blocks", lambda data: (sent.append(block[:2]) or block for block in blocks(data))
    )
    found = on_cluster(machines.address, trials_of(elsewhere, Brightness(), seeds=4))
    assert timeless(found) == timeless(expected)
    assert len(sent) == len(set(sent)) > 8
    kept = list((machines.folder / "cache" / "data").glob("*received*"))
    assert [path.name for path in kept if path.is_dir()] == [f"received-{data.fingerprint[:24]}"]
    on_cluster(machines.address, trials_of(elsewhere, Brightness(5.0), seeds=4))
    assert len(sent) == len(set(sent))


def test_images_that_change_on_their_way_are_refused(data, own_cache, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    lost = replace(data, folder=Path("nowhere"))
    assert transfer.find(lost) is None
    for name, place, block in transfer.blocks(data):
        transfer.receive(lost, name, place, block[:-1] + b"!" if name == "train_y.npy" else block)
    with pytest.raises(FewshotError, match="changed on their way"):
        transfer.keep(lost)
    assert transfer.find(lost) is None
    for block in transfer.blocks(data):
        transfer.receive(lost, *block)
    transfer.keep(lost)
    assert transfer.find(lost).folder.parent == own_cache / "data"


# What must agree


def test_other_versions_are_one_line(machines, data, on_cluster, monkeypatch):
    own = worker.versions
    monkeypatch.setattr(worker, "versions", lambda name: own(name) | {"numpy": "1.0", "Python": "3.99"})
    with pytest.raises(FewshotError) as caught:
        on_cluster(machines.address, trials_of(data, Brightness()))
    message = str(caught.value)
    assert "127.0.0.1" in message
    assert f"Python 3.{sys.version_info.minor} instead of 3.99" in message
    assert f"numpy {own('jax')['numpy']} instead of 1.0: install the same" in message
    assert "\n" not in message


def test_a_record_of_another_trial_is_refused(machines, data, on_cluster, monkeypatch):
    monkeypatch.setattr(Brightness, "describe", lambda self: {"scale": "as in a newer version"})
    with pytest.raises(FewshotError, match="another trial than it was given"):
        on_cluster(machines.address, trials_of(data, Brightness()))


def test_a_worker_with_two_threads_is_refused(own_machines, data, on_cluster):
    own_machines.start_worker("--no-nanny", "--nthreads", "2")
    with pytest.raises(FewshotError, match=r"has 2 threads.*--nthreads 1"):
        on_cluster(own_machines.address, trials_of(data, Brightness()))


@pytest.mark.processes
def test_plugins_are_passed_on_and_workers_start_anew_when_they_change(machines, command, tmp_path):
    plugin = tmp_path / "mine.py"
    line = ("zoo", *QUICK, "--cluster", machines.address, "--plugin", plugin, "--method", "mine", "--json")
    for neighbours in (3, 5):
        plugin.write_text(PLUGIN.replace("=3", f"={neighbours}"))
        done = command(*line)
        assert done.returncode == 0, done.stderr
        assert "mine" in {row["method"] for row in json.loads(done.stdout)["methods"]}
    assert len(records(tmp_path / "results")) == 6  # two of the baseline, two of each version


def test_what_a_learner_finds_wrong_says_where(machines, data, on_cluster):
    with pytest.raises(UsageError, match=r"^there is no such thing \(the worker tcp://"):
        on_cluster(machines.address, trials_of(data, WantsWhatIsNotThere()))


# What goes wrong


@pytest.mark.parametrize("listens", [False, True], ids=["nobody there", "something else there"])
def test_an_unreachable_scheduler_is_one_line_soon(data, on_cluster, monkeypatch, listens):
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        if listens:
            other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1] if listens else free_port()}"
        with pytest.raises(FewshotError, match=f"^cannot reach the Dask scheduler at {address} .*") as caught:
            on_cluster(address, trials_of(data, Brightness(), seeds=1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--cluster", "somewhere"], "wants local or an address"),
        (["--cluster", "tcp://127.0.0.1:9", "--jobs", "2"], "has its own workers"),
    ],
)
def test_wrong_usage(command, args, message):
    done = command("augment", *QUICK, *args)
    assert done.returncode == 2
    assert message in one_line(done.stderr)


def test_without_dask_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(FewshotError, match=r"pip install 'fewshot-testbed\[cluster\]'"):
        Cluster("local")


@pytest.mark.processes
def test_a_killed_worker_costs_nothing_but_time(data, results, on_cluster, tmp_path, capsys):
    expected = results(trials_of(data, Brightness(), seeds=5), "undisturbed")
    learner = KillsItsWorkerOnce(log=tmp_path / "log")
    found = on_cluster("local", trials_of(data, learner, seeds=5))
    assert [r.accuracy for r in found] == [r.accuracy for r in expected]
    assert learner.log.read_text().split().count("1") >= 2
    assert AGAIN in capsys.readouterr().err.splitlines()


@pytest.mark.processes
def test_a_trial_that_always_kills_its_worker_ends_the_run_after_the_others(data, on_cluster, monkeypatch):
    import dask

    monkeypatch.setattr(executor, "LIVES", 2)
    trials, recorded = trials_of(data, AlwaysKillsItsWorker(), seeds=4), []
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        pytest.raises(FewshotError, match="worker processes keep dying"),
    ):
        on_cluster("local", trials, on_record=lambda trial, record, fresh: recorded.append(trial.seed))
    assert {0} <= set(recorded) <= {0, 2, 3}


@pytest.mark.processes
def test_a_killed_scheduler_ends_the_run_and_the_same_goes_on(
    own_machines, data, on_cluster, tmp_path, capsys
):
    own_machines.start_worker()
    learner = Counting(log=tmp_path / "log")
    trials, seen = trials_of(data, learner, seeds=6), []

    def kill(trial, record, fresh):
        seen.append(trial.seed)
        own_machines.kill()

    with pytest.raises(FewshotError, match=r"scheduler at tcp://.* is gone: start it again; what is"):
        on_cluster(own_machines.address, trials, on_record=kill)
    assert seen[0] == 0
    own_machines.start_scheduler()
    own_machines.start_worker()
    fresh = []
    found = on_cluster(own_machines.address, trials, on_record=lambda t, r, new: fresh.append(new))
    assert fresh.count(False) == len(seen)
    assert [record.seed for record in found] == list(range(6))


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_ctrl_c_in_a_terminal_ends_a_local_cluster_quietly(tmp_path):
    process = start(tmp_path, "--cluster", "local", "--jobs", "2", start_new_session=True)
    workers = _children(process.pid)
    begin = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert not printed
    said = [line for line in errors.splitlines() if line and not line.startswith("seed")]
    assert len(said) == 1, errors
    assert "interrupted; finished trials are recorded" in said[0]
    assert _gone(workers, 30)
    assert time.monotonic() - begin < 30


# Everything goes wrong


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, 20])
def test_killed_at_random_moments_and_continued_is_undisturbed(cache, own_machines, command, tmp_path, kills):
    """kill -9 of driver, worker or scheduler, again and again; the same command is given until it is done."""
    study = ("augment", *QUICK, "--method", "none", "--seeds", 4 + 4 * kills, "--epochs", 30)
    line = [sys.executable, "-m", "experiments.augment", *map(str, study[1:])]
    line += ["--cluster", own_machines.address, "--out", str(tmp_path / "killed")]
    chance = random.Random(kills)

    def drive():
        return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def start_workers():
        for _ in range(2):
            own_machines.start_worker()

    def ended(driver):
        _, errors = driver.communicate(timeout=300)
        if driver.returncode == 1:
            assert "resumes" in one_line(errors) or "cannot reach" in errors, errors
        else:
            assert driver.returncode in (0, -signal.SIGKILL), errors
        return driver.returncode == 0

    start_workers()
    driver = drive()
    for victim in chance.sample(["driver", "worker", "scheduler"] * math.ceil(kills / 3), kills):
        time.sleep(chance.uniform(0, 8))
        if victim == "driver":
            driver.kill()
            ended(driver)
        elif victim == "worker":
            own_machines.workers.pop(chance.randrange(2)).kill()
            own_machines.start_worker()
        else:
            own_machines.kill()
            own_machines.start_scheduler()
            start_workers()
        if driver.poll() is not None:
            ended(driver)
            driver = drive()
    while not ended(driver):
        driver = drive()
    assert command(*study, out=tmp_path / "undisturbed").returncode == 0
    assert records(tmp_path / "killed") == records(tmp_path / "undisturbed")
