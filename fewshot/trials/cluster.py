"""Trials on a Dask cluster: one that runs already (tcp://…), or one of this machine's own (local).

The driver hands out trials and writes what comes back; it alone keeps records. A worker process computes a
trial at a time, as this one would, or says why not: it needs the same versions, backend, threads and plugins.
Images go to a machine that lacks them once (`fewshot.trials.transfer`); weights and features a machine
keeps in its own cache. Dask itself runs the trials of dead workers again.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import secrets
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from fewshot.errors import FewshotError, field
from fewshot.trials import transfer, worker
from fewshot.trials.executor import AGAIN, OutOfTime, Work, WorkerDied, forever
from fewshot.trials.trial import Trial

LOCAL = "local"
POLL = 0.01  # seconds between looks at what has come
SILENT = logging.CRITICAL + 1
PATIENCE = 10  # seconds until a scheduler counts as unreachable
RESUMES = "what is recorded stays, and the same command resumes"


class Cluster:
    """The cluster at `address`, or for "local" one of `jobs` worker processes that ends with this object."""

    shares_disk = False
    trains_together = False

    def __init__(self, address: str, jobs: int = 1):
        if importlib.util.find_spec("distributed") is None:
            raise FewshotError(f"{field('cluster')} needs Dask: pip install 'fewshot-testbed[cluster]'")
        self._address, self._jobs = address, jobs
        self._open = contextlib.ExitStack()
        self._client: Any = None  # a `distributed.Client` once connected
        self._workers: set[str] = set()
        self._name = f"trial-{secrets.token_hex(16)}"

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def compute(
        self, pending: dict[int, Trial], work: Work, left: Callable[[], float] = forever
    ) -> Iterator[tuple[int, Any]]:
        """Yield (position, result) as `work` ends on each trial; late ones are cancelled."""
        from distributed import KilledWorker, as_completed

        trials = dict(pending)
        setting = worker.Setting.of(next(iter(trials.values())))
        self._connect(setting)
        do = functools.partial(worker.on_worker, setting, work)
        positions = self._submit(do, trials)
        done = as_completed(positions, loop=self._client.loop, with_results=True, raise_errors=False)
        died = False
        while not done.is_empty():
            if left() <= 0:
                self._client.cancel(list(positions), force=True)
                raise OutOfTime
            if not done.has_ready():  # Dask would wait for ever for a result that went with the scheduler
                self._check_scheduler()
                time.sleep(POLL)
                continue
            future, result = next(done)
            position = positions.pop(future)
            if future.status == "error":
                failure = result[1]
                if not isinstance(failure, KilledWorker):
                    raise failure.with_traceback(result[2])
                died = True  # of those that worked on it, too many; the others' trials go on
            elif future.status != "finished":
                raise self._lost()
            elif isinstance(result, worker.Lacking):
                self._send(trials[position], result.worker)
                again = self._submit(do, {position: trials[position]})
                positions |= again
                done.update(again)
            else:
                yield position, result
            del future, result  # so that the cluster forgets them
        if died:
            raise WorkerDied

    def _submit(self, do: Callable[[Trial], Any], trials: dict[int, Trial]) -> dict:
        """Return future → position. One group of tasks: Dask then hands each worker two at most, in order."""
        self._check_scheduler()
        # The name says whose they are, and the number their order; a name is never used again.
        group = f"{self._name}-{secrets.token_hex(16)}"
        keys = [(group, f"{number:09}") for number in range(len(trials))]
        futures = self._client.map(do, list(trials.values()), key=keys, pure=False)
        return dict(zip(futures, trials, strict=True))

    def _connect(self, setting: worker.Setting) -> None:
        """Find the cluster, and see that all its workers can compute as this process does."""
        if self._client is not None:
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Mismatched versions")  # said below, in one line
            try:
                self._client = self._open.enter_context(_client(self._address, self._jobs))
                self._client.subscribe_topic("all", self._watch)
                self._workers |= set(self._client.nthreads())
                self._client.run_on_scheduler(worker.versions, setting.backend)
                answers = self._client.run(worker.enter, setting, on_error="return")
            except (OSError, ValueError, RuntimeError) as error:
                what, cure = (
                    ("start a Dask cluster here", f"use {field('jobs')} alone")
                    if self._address == LOCAL
                    else (f"reach the Dask scheduler at {self._address}", "start it with `dask scheduler`")
                )
                raise FewshotError(f"cannot {what} ({_first_line(error)}): {cure}") from error
            except ImportError as error:
                raise self._foreign(error) from error
        for answer in answers.values():
            if isinstance(answer, ImportError):
                raise self._foreign(answer)
            if isinstance(answer, Exception) and not isinstance(answer, worker.Stale):
                raise answer
        self._restart([address for address, answer in answers.items() if answer])
        if not self._workers:
            self._say_that_nobody_works()

    def _restart(self, workers: list[str]) -> None:
        """Start worker processes anew that have computed for a study with another backend, plugins, …"""
        if not workers:
            return
        try:
            self._client.restart_workers(workers, timeout=120)
        except Exception as error:  # without a nanny, a ValueError; nannies send whatever they met
            raise FewshotError(
                f"workers at {self._address} have served another study and do not start anew "
                f"({_first_line(error)}): restart them"
            ) from error

    def _send(self, trial: Trial, address: str) -> None:
        """Send a trial's images to a worker's machine, unless another of its workers has them by now."""

        def run(function: Callable, *args: Any) -> Any:
            return self._client.run(function, trial.data, *args, workers=[address])[address]

        try:
            if run(transfer.find) is None:
                for block in transfer.blocks(trial.data):
                    run(transfer.receive, *block)
                run(transfer.keep)
        except (OSError, KeyError, ValueError) as error:
            logging.getLogger(__name__).debug("%s is gone: %s", address, error)  # so another one computes it

    def _watch(self, event: tuple) -> None:
        """Say that a worker has died while it had a trial of ours, or that none is left."""
        message = event[1] if isinstance(event, tuple) else event
        if not isinstance(message, dict) or "worker" not in message:
            return
        if message["action"] == "add-worker":
            self._workers.add(message["worker"])
        elif message["action"] == "remove-worker":
            self._workers.discard(message["worker"])
            tasks = message.get("processing-tasks", ())
            if any(isinstance(task, tuple) and str(task[0]).startswith(self._name) for task in tasks):
                print(AGAIN, file=sys.stderr)
                if not self._workers and self._address != LOCAL:
                    self._say_that_nobody_works()

    def _say_that_nobody_works(self) -> None:
        print(f"no worker at {self._address}: waiting for one (`dask worker`)", file=sys.stderr)

    def _check_scheduler(self) -> None:
        if self._client.status != "running":
            raise self._lost()

    def _lost(self) -> FewshotError:
        return FewshotError(f"the Dask scheduler at {self._address} is gone: start it again; {RESUMES}")

    def _foreign(self, error: ImportError) -> FewshotError:
        return FewshotError(
            f"a machine of the cluster at {self._address} lacks a package ({error}): workers and scheduler "
            "need the same environment as this machine"
        )


@contextlib.contextmanager
def _client(address: str, jobs: int) -> Iterator[Any]:
    """Yield a client of the cluster; close both quickly, whatever they are at."""
    from distributed import Client, LocalCluster

    for name in ("distributed", "distributed.client"):  # what matters of it is said by us
        logging.getLogger(name).setLevel(SILENT)
    cluster = None
    with contextlib.ExitStack() as stack:
        if address == LOCAL:
            cluster = LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,  # the system's own
                dashboard_address="localhost:0",  # any port: the usual one may be taken
                silence_logs=SILENT,
                preload=[worker.__name__],
            )
            stack.callback(_end, cluster)
        server = address if cluster is None else cluster
        patience = PATIENCE if cluster is None else 6 * PATIENCE
        connect = functools.partial(Client, server, timeout=patience, set_as_default=False)
        client = _soon(connect, patience)
        stack.callback(client.close, timeout=2)
        yield client


def _soon(make: Callable[[], Any], patience: float) -> Any:
    """Return what `make` returns. Dask itself waits for ever for one who accepts and keeps silent."""
    from concurrent.futures import Future

    outcome: Future[Any] = Future()

    def attempt() -> None:
        try:
            outcome.set_result(make())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=attempt, daemon=True).start()
    try:
        return outcome.result(patience + 2)
    except TimeoutError as error:
        raise OSError(_first_line(error) if str(error) else "it does not answer") from error


def _end(cluster: Any) -> None:
    """Close a cluster of this machine at once: its workers have nothing to lose."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):  # a worker that just starts ends with this process
        cluster.close(timeout=PATIENCE)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
