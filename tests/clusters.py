"""Dask clusters for tests: real scheduler and worker processes on loopback."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Machines:
    """A scheduler and its workers, each a process that may be killed and started again."""

    def __init__(self, folder: Path, cache: Path | None = None):
        self.folder, self.address = folder, f"tcp://127.0.0.1:{free_port()}"
        self._environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "trials")))
        }
        if cache:
            self._environment["FEWSHOT_CACHE"] = str(cache)
        self.scheduler: subprocess.Popen | None = None
        self.workers: list[subprocess.Popen] = []

    def start_scheduler(self) -> None:
        """Start it at the same address each time, and return when it answers."""
        host, _, port = self.address.removeprefix("tcp://").rpartition(":")
        self.scheduler = self._start("scheduler", "--host", host, "--port", port, "--no-show")
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return
            assert self.scheduler.poll() is None, "the scheduler does not start"
            time.sleep(0.1)
        raise AssertionError("the scheduler does not listen")

    def start_worker(self, *options: str) -> subprocess.Popen:
        """Start a worker process without a nanny, unless the options say other things."""
        line = ["--nthreads", "1", "--memory-limit", "0", "--local-directory", str(self.folder / "scratch")]
        worker = self._start("worker", self.address, *line, "--no-dashboard", *(options or ["--no-nanny"]))
        self.workers.append(worker)
        return worker

    def kill(self) -> None:
        """Kill every process, as from a power cut."""
        for process in filter(None, [self.scheduler, *self.workers]):
            process.kill()
            process.wait()
        self.workers.clear()

    def _start(self, what: str, *options: str) -> subprocess.Popen:
        line = [sys.executable, "-m", f"distributed.cli.dask_{what}", *options]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(line, env=self._environment, cwd=self.folder, **quiet)
