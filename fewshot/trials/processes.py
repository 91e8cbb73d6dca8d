"""Trials on worker processes of this machine, or in this process."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from fewshot import backend
from fewshot.methods import plugins
from fewshot.trials.executor import OutOfTime, Work, WorkerDied, forever
from fewshot.trials.trial import Trial
from fewshot.wording import plural

LEAKS = "ignore:resource_tracker:UserWarning"


@dataclass(frozen=True)
class Processes:
    """Computes on `jobs` worker processes of this machine; 1: in this process, if it can compute so.

    It cannot where its backend has started with other threads already, as a notebook's may have.
    """

    jobs: int = 1

    shares_disk: ClassVar[bool] = True
    trains_together: ClassVar[bool] = False

    def compute(
        self, pending: dict[int, Trial], work: Work, left: Callable[[], float] = forever
    ) -> Iterator[tuple[int, Any]]:
        """Yield (position, result) as `work` ends on each trial; workers that are late are ended.

        What this process computes itself comes to its end.
        """
        trials = list(pending.items())
        if self.jobs == 1 and _computes_here(trials[0][1]):
            for position, trial in trials:
                if left() <= 0:
                    raise OutOfTime
                yield position, work(trial)
            return
        import multiprocessing

        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        _hold_back_leaks()
        # At least two: joblib would run a single job in this process, which a dying trial would take along.
        count = max(2, min(self.jobs, len(trials)))
        first = trials[0][1]
        workers = Parallel(
            count,
            return_as="generator_unordered",
            batch_size=1,
            initializer=start_worker,
            initargs=(plugins.portable(), (first.threads, first.device)),
        )
        try:
            # Workers that have had nothing to do for long end; joblib guesses at leaks of memory.
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
            workers.timeout = _patience(left)
            for result in workers(delayed(_on_worker)(work, position, trial) for position, trial in trials):
                yield result
                workers.timeout = _patience(left)  # it counts from result to result
        except TerminatedWorkerError as error:
            raise WorkerDied from error
        except multiprocessing.TimeoutError as error:
            raise OutOfTime from error


def _patience(left: Callable[[], float]) -> float | None:
    """Return how many seconds to wait for the next result; None for as long as it takes."""
    seconds = left()
    return None if seconds == math.inf else max(seconds, 0.0)


def _hold_back_leaks() -> None:
    """Let joblib's watcher, which tidies up after a run that was killed, not call that a leak."""
    filters = os.environ.get("PYTHONWARNINGS", "")
    if LEAKS not in filters:
        os.environ["PYTHONWARNINGS"] = f"{filters},{LEAKS}".lstrip(",")


def _on_worker(work: Work, position: int, trial: Trial) -> tuple[int, Any]:
    return position, work(trial)


def _computes_here(trial: Trial) -> bool:
    """Return whether this process can compute as a trial wants it; on a GPU it has to."""
    if backend.started() is None and "tensorflow" not in sys.modules:
        return True  # it starts with the first trial
    try:
        backend.start(trial.threads, trial.device)
    except backend.RunsAlready:
        if trial.device != "cpu":
            raise
        print(
            f"this process computes already, not with {plural(trial.threads, 'thread')}: "
            "worker processes run the trials",
            file=sys.stderr,
        )
        return False
    return True


def start_worker(definitions: bytes = b"", setting: tuple[int, str] | None = None) -> None:
    """Leave Ctrl-C to the driver, who ends its workers, and end soon after it when it is killed.

    definitions: `plugins.portable` of the driver. setting: threads and device; joblib starts new workers
    where either argument is another, since a process computes in one way for its life.
    """
    import multiprocessing

    plugins.load_inherited()
    plugins.receive(definitions)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    driver = parent.pid if parent else None

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
