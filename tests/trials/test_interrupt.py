"""Studies cut off: killed, Ctrl-C, a full disk, torn records; nothing is lost, the same command resumes."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import ALONE, QUICK, one_line, records

from fewshot.trials.record import Record
from fewshot.trials.store import Store

LONG = ("--seeds", "6", "--epochs", "60")


def start(out, *args, **options) -> subprocess.Popen:
    """Start a study in the background and return once its first trial has ended."""
    line = [sys.executable, "-m", "experiments.augment", *QUICK, *LONG]
    line += ["--out", str(out), "--method", "none", *args]
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A shell starts its background jobs deaf to Ctrl-C, and whoever runs these tests may be one.
    process = subprocess.Popen(
        line, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **options
    )
    for row in process.stderr:
        if row.startswith("seed"):
            return process
    raise AssertionError("no trial ended")


def _children(pid: int) -> list[int]:
    listing = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listing.splitlines()[1:]]
    return [child for child, parent in pairs if parent == pid]


def _gone(pids: list[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(Path(f"/proc/{pid}/cmdline").exists() and _running(pid) for pid in pids):
            return True
        time.sleep(0.2)
    return False


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_killed_and_continued_is_undisturbed(tmp_path, command):
    """kill -9 of the driver in the middle, Ctrl-C later: the same command ends as if nothing had been."""
    process = start(tmp_path / "killed")
    workers = _children(process.pid)
    process.kill()
    process.communicate(timeout=30)
    assert _gone(workers, 30), "workers outlive their driver"
    kept = records(tmp_path / "killed")
    assert 1 <= len(kept) < 6

    process = start(tmp_path / "killed")
    workers = _children(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; finished trials are recorded, the same command resumes" in errors
    assert "Traceback" not in errors
    assert _gone(workers, 30)
    assert records(tmp_path / "killed").items() >= kept.items()

    for folder in ("killed", "undisturbed"):
        done = command("augment", *ALONE, *LONG, "--method", "none", out=tmp_path / folder)
        assert done.returncode == 0, done.stderr
    assert records(tmp_path / "killed") == records(tmp_path / "undisturbed")
    assert len(records(tmp_path / "killed")) == 6


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_a_worker_without_work_does_not_outlive_its_driver_either(tmp_path):
    line = [sys.executable, "-m", "experiments.augment", *QUICK, "--method", "none", "--seeds", "1"]
    line += ["--epochs", "100000", "--jobs", "2", "--out", str(tmp_path)]
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
    workers, end = [], time.monotonic() + 30
    while len(workers) < 2 and time.monotonic() < end:
        time.sleep(0.1)
        workers = [p for p in _children(process.pid) if "Loky" in Path(f"/proc/{p}/cmdline").read_text()]
    process.kill()
    process.wait()
    assert len(workers) == 2
    assert _gone(workers, 30)


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_ctrl_c_in_a_terminal_reaches_the_workers_too_and_they_keep_quiet(tmp_path):
    process = start(tmp_path, start_new_session=True)
    os.killpg(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert not printed
    said = [line for line in errors.splitlines() if line and not line.startswith("seed")]
    assert said[-1].endswith(
        "interrupted; finished trials are recorded, the same command resumes (without --fresh)"
    )


@pytest.mark.processes
def test_two_runs_at_once_on_one_folder(tmp_path, command):
    process = start(tmp_path / "results", "--seeds", "60")  # runs on while this one imports Keras
    done = command("augment", *ALONE, "--method", "none")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert done.returncode == 1
    assert "another run is writing to" in one_line(done.stderr)


def test_a_full_disk_ends_with_one_line_and_keeps_what_was_there(command, study, tmp_path):
    resource = pytest.importorskip("resource")
    out = shutil.copytree(study[0], tmp_path / "results")
    path = out / "trials.jsonl"
    foreign = "x" * 20_000  # so that predictions fit below the limit, and it is the next record that tears
    path.write_text(f"{path.read_text()}{foreign}\n")
    size, before = path.stat().st_size + 100, records_of(out)
    almost_full = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size))
    args = (*ALONE, "--method", "flip", "--seeds", "3")
    done = command("augment", *args, before=almost_full)
    assert done.returncode == 1
    assert "free some space" in one_line(done.stderr)
    assert path.stat().st_size == size
    done = command("augment", *args)  # the same command resumes
    assert done.returncode == 0
    assert "2 unreadable lines" in done.stderr
    assert "4 of 6 trials were in the records already" in done.stderr
    assert records_of(out).items() > before.items()


def records_of(out) -> dict[str, Record]:
    """Return the records among the lines of a file that holds others, too."""
    with Store(out).open() as store:
        return dict(store._records)


def test_torn_and_foreign_records_are_reported_and_computed_again(command, study, tmp_path):
    out = tmp_path / "results"
    out.mkdir()
    lines = (study[0] / "trials.jsonl").read_text().splitlines()[:4]
    (out / "trials.jsonl").write_text("\n".join(["[" * 100_000, *lines[:3], lines[3][:100]]))
    done = command("augment", *QUICK, "--method", "flip", "--jobs", 1)
    assert done.returncode == 0
    assert "2 unreadable lines left as they are (1, 5)" in done.stderr
    assert "3 of 4 trials were in the records already" in done.stderr
    assert (out / "trials.jsonl").read_text().startswith("[" * 100_000 + "\n")
