"""Running trials: what the store lacks is computed, here or elsewhere, and kept."""

from __future__ import annotations

import copy
import datetime
import platform
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

import fewshot
from fewshot import backend
from fewshot.backbones.features import BATCH
from fewshot.data import Dataset, open_splits, verify
from fewshot.data.protocols import Task, protocols
from fewshot.errors import BrokenCode, DivergedError, FewshotError, NoRoom, UsageError, debugging
from fewshot.identity import blamed, place_of, receive_digests
from fewshot.learners.contract import Learner
from fewshot.machine import processor
from fewshot.stats import metrics
from fewshot.trials.executor import Executor, each, forever
from fewshot.trials.processes import Processes
from fewshot.trials.record import Record
from fewshot.trials.store import Store
from fewshot.trials.trial import Trial
from fewshot.wording import one_line


def run(
    trials: list[Trial],
    store: Store,
    executor: Executor | None = None,
    on_record: Callable[[Trial, Record, bool], None] = lambda trial, record, computed: None,
    fresh: bool = False,
    on_prepared: Callable[[int, float], None] = lambda total, seconds: None,
    on_begin: Callable[[int], None] = lambda total: None,
    left: Callable[[], float] = forever,
) -> list[Record]:
    """Return the records of trials; what the store lacks is computed and stored.

    A worker that dies costs the trials under way, which run again.

    Parameters
    ----------
    trials
        As `fewshot.trials.plan.make_plan` makes them.
    store
        Open for writing.
    executor
        Where to compute; None for this process.
    on_record
        Called as `on_record(trial, record, computed)` for each trial, first for the recorded ones.
    fresh
        Compute all of them, also what is recorded.
    on_prepared
        Called with the number of tasks on which learners share something, as each of these is ready, and with
        the seconds that it took, without those of setting up; before the trials begin.
    on_begin
        Called with the number of trials to compute, when nothing is found to be wrong with them.
    left
        Tells how many seconds there are.

    Raises
    ------
    OutOfTime
        Where these do not suffice; what has been computed by then is stored.
    UsageError
        For data, learners or draws with which the trials cannot be computed, before the first one begins;
        and where no trial comes to its end, for what a user's code raises or for want of memory.
    FewshotError
        Where workers keep dying, or compute something else than they were given.
    """
    executor = executor or Processes(1)
    keys = [trial.key for trial in trials]
    records = [None if fresh else _stored(trial, key, store) for trial, key in zip(trials, keys, strict=True)]
    for trial, record in zip(trials, records, strict=True):
        if record:
            store.show(record)
            on_record(trial, record, False)
    pending = {i: trial for i, trial in enumerate(trials) if records[i] is None}
    _check(pending.values())
    on_begin(len(pending))
    if executor.shares_disk:
        pending = {i: _with_checkpoint(trial, store.checkpoint_path(keys[i])) for i, trial in pending.items()}
    if fresh:
        for i in pending:
            store.drop_checkpoint(keys[i])
    tasks = _shared(pending)
    for _, seconds in each(tasks, executor, prepare_task, left):
        on_prepared(len(tasks), seconds)
    for i, (record, predictions) in each(pending, executor, run_trial, left):
        if record.key != keys[i]:
            raise FewshotError(
                "a worker computed another trial than it was given: its libraries, weights or plugins differ "
                "from those here; what is recorded stays, and the same command resumes"
            )
        store.add(record, predictions)
        store.drop_checkpoint(record.key)
        records[i] = record
        on_record(pending[i], record, True)
    ended = [record for record in records if record is not None]  # all of them by now
    if ended and all(map(_is_retried, ended)):
        raise UsageError((ended[0].reason or "").removeprefix(RETRIED))
    return ended


def prepare_task(trial: Trial) -> float:
    """Compute what the trial's learner shares with others on its task.

    Returns the seconds that this took, without those of setting up.
    """
    _begin(trial)
    begin, setup = time.perf_counter(), backend.setup_seconds()
    splits = open_splits(trial.data.folder)
    trial.learner.prepare(trial.protocol.sample_task(splits, trial.seed, trial.share))
    return time.perf_counter() - begin - (backend.setup_seconds() - setup)


def run_trial(trial: Trial) -> tuple[Record, dict[str, np.ndarray]]:
    """Return the record of a trial, and the predictions to keep beside it."""
    from threadpoolctl import threadpool_limits

    _begin(trial)
    task = trial.protocol.sample_task(open_splits(trial.data.folder), trial.seed)
    begin, setup = time.perf_counter(), backend.setup_seconds()
    learner = copy.copy(trial.learner)  # what it learns does not stay with the trial
    try:
        with threadpool_limits(trial.threads):  # of NumPy and scikit-learn; the backend has its own
            watch = task.test if trial.curves else None
            with blamed(f"the method '{trial.method}' fails", type(learner)):
                learner.train(task.train, trial.seed, watch, trial.checkpoint)
                probabilities = learner.predict(task.test.x)
        _check_fitted(trial, learner, np.shape(probabilities), (len(task.test), len(task.train.classes)))
    except (DivergedError, BrokenCode, NoRoom) as error:
        return outcome(trial, task, _told(error), time.perf_counter() - begin)
    except Exception as error:
        if not (isinstance(error, MemoryError) or backend.is_out_of_memory(error)):
            raise
        told = one_line(error)[:SHOWN]
        failure = NoRoom(f"the memory is full ({told}): a smaller network, batch or image fits")
        return outcome(trial, task, _told(failure), time.perf_counter() - begin)
    seconds, setup = time.perf_counter() - begin, backend.setup_seconds() - setup
    return outcome(trial, task, learner, seconds, probabilities, setup)


def _begin(trial: Trial) -> None:
    """Make this process one that can compute the trial; importing TensorFlow for nothing takes seconds."""
    receive_digests(trial.digests or ())
    if trial.learner.uses_backend:
        backend.start(trial.threads, trial.device)


def _told(error: FewshotError) -> FewshotError:
    """Return the error, whose traceback is shown where that is asked for."""
    if debugging():
        traceback.print_exc()
    return error


def _check_fitted(trial: Trial, learner: Learner, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raise `BrokenCode` where a learner does not do what the contract says."""
    place = f"the method '{trial.method}' ({place_of(type(learner))})"
    if shape != wanted:
        raise BrokenCode(f"{place} predicts probabilities of shape {shape}, and the task wants {wanted}")
    if not hasattr(learner, "fitted"):
        raise BrokenCode(f"{place} does not set `fitted`: its fit does, to a fewshot.learners.contract.Fit")


def outcome(
    trial: Trial,
    task: Task,
    learner: Learner | FewshotError,
    seconds: float,
    probabilities: np.ndarray | None = None,
    setup: float | None = None,
) -> tuple[Record, dict[str, np.ndarray]]:
    """Return the record of a trial, and the predictions to keep beside it.

    learner: fitted, or the error with which its training broke down. setup: of the seconds, those of setting
    up, where they are known.
    """
    failure: str | None = None
    measured: dict[str, Any] = _UNMEASURED
    predictions: dict[str, np.ndarray] = {}
    if isinstance(learner, FewshotError):
        failure = str(learner) if isinstance(learner, DivergedError) else f"{RETRIED}{learner}"
    elif probabilities is None:
        raise TypeError("a fitted learner comes with its probabilities")
    else:
        measured = metrics.measure(probabilities, task.test.y) | vars(learner.fitted)
        seconds += measured.pop("seconds_before")
        predictions = _predictions(task, probabilities)
    pool = open_splits(trial.data.folder).parts[task.test_part]
    record = Record(
        key=trial.key,
        method=trial.method,
        status="failed" if failure else "ok",
        reason=failure,
        classes=tuple(task.classes),
        **measured,
        seconds=round(seconds, 4),
        **cast(Any, trial.identity()),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine={"cpu": processor(), "python": platform.python_version()},
        fewshot=fewshot.__version__,
        n_test=_apart(task.test, np.arange(len(task.test))),
        n_pool=_apart(pool, np.flatnonzero(np.isin(pool.y, np.unique(task.test.y)))),
        setup_seconds=None if setup is None else round(setup, 4),
    )
    return record, predictions


def _apart(images: Dataset, index: np.ndarray) -> int:
    """Return how many of the images at `index` there are, near-duplicates once where they are known."""
    return len(index) if images.groups is None else len(np.unique(images.groups[index]))


def _with_checkpoint(trial: Trial, path: Path) -> Trial:
    """Return a trial that keeps what it has learnt, where training takes long: on a whole dataset, say."""
    traits = protocols[trial.protocol.name].traits
    return replace(trial, checkpoint=path) if traits.get("whole") or traits.get("long") else trial


def _is_retried(record: Record) -> bool:
    return (record.reason or "").startswith(RETRIED)


RETRIED = "not run to its end: "  # begins the reason of a failure that is no result: it is tried again
SHOWN = 200  # characters of a library's message
_UNMEASURED = dict.fromkeys((*metrics.NAMES, "n_train", "updates", "images_seen", "parameters", "curve"))


def _predictions(task: Task, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "probabilities": probabilities.astype(np.float16),
        "labels": task.test.y,
        "index": task.test_index,
        "part": np.array(task.test_part),
        "train_index": task.train_index,
    }


def _stored(trial: Trial, key: str, store: Store) -> Record | None:
    """Return the trial's record, unless it lacks the curves that are asked for."""
    record = store.get(key)
    if record and _is_retried(record):  # machine and surroundings may have changed
        return None
    lacking = record and trial.curves and record.ok and "held_out_loss" not in (record.curve or {})
    return None if lacking else record


def _check(trials: Iterable[Trial]) -> None:
    """Find what is wrong with data, learners and draws before the first training begins."""
    trials = list(trials)
    for data in {trial.data.folder: trial.data for trial in trials}.values():
        verify(data)
    for trial in {(trial.method, trial.data.folder): trial for trial in trials}.values():
        trial.learner.check(open_splits(trial.data.folder).train.image_shape)
    for protocol, folder, seed in {(trial.protocol, trial.data.folder, trial.seed) for trial in trials}:
        protocol.positions(open_splits(folder), seed)


def _shared(pending: dict[int, Trial]) -> dict[int, Trial]:
    """Return one trial for each thing that trials share on each task, in shares where that can be divided."""
    by_shared: dict[tuple, Trial] = {}
    for trial in pending.values():
        if shared := trial.learner.shared():
            # Where every task has all images, what is computed for one serves them all.
            everything = protocols[trial.protocol.name].traits.get("everything")
            seed = None if everything and trial.learner.prepares_each_image else trial.seed
            by_shared.setdefault((shared, trial.protocol, trial.data.folder, seed), trial)
    shares = [
        replace(trial, share=(i, count))
        for (*_, seed), trial in by_shared.items()
        for count in [1 if seed is not None else _shares(trial)]
        for i in range(count)
    ]
    return dict(enumerate(shares))


def _shares(trial: Trial) -> int:
    """Return into how many shares the images are divided that all tasks have."""
    return max(1, -(-len(open_splits(trial.data.folder).train) // BATCH))
