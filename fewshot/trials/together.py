"""Trials whose seeds are trained together: on a GPU, ten small networks take about as long as one.

An executor for `fewshot.trials.run.run`, in the place of worker processes, which would share the GPU. The
seeds of a wide network are trained one after the other all the same, and a line says so.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from fewshot import backend
from fewshot.data import open_splits
from fewshot.data.protocols import protocols
from fewshot.errors import DivergedError
from fewshot.trials.executor import OutOfTime, Work, forever
from fewshot.trials.run import outcome, run_trial
from fewshot.trials.trial import Trial

MOST = 16  # seeds at once: what they need adds up in the device's memory


def fits(trial: Trial) -> bool:
    """Return whether the seeds of such a trial can be trained together: small networks on JAX, on a GPU."""
    whole = protocols[trial.protocol.name].traits.get("whole")
    fast = backend.name() == "jax" and trial.device == "gpu"
    return fast and trial.learner.trains_together and not (whole or trial.curves)


def executor(trials: Iterable[Trial]) -> Together | None:
    """Return what computes such trials together, or nothing where none of them can be."""
    return Together() if any(map(fits, trials)) else None


@dataclass(frozen=True)
class Together:
    """Computes in this process: seeds of a method together where they fit, all others one by one."""

    shares_disk: ClassVar[bool] = True
    trains_together: ClassVar[bool] = True

    def compute(
        self, pending: dict[int, Trial], work: Work, left: Callable[[], float] = forever
    ) -> Iterator[tuple[int, Any]]:
        """Yield (position, result) as `work` ends on each trial; those that have begun come to their end."""
        groups: dict[str, list[tuple[int, Trial]]] = {}
        for position, trial in pending.items():
            together = work is run_trial and fits(trial)
            key = json.dumps(trial.identity() | {"seed": None}, sort_keys=True) if together else f"{position}"
            groups.setdefault(key, []).append((position, trial))
        for group in groups.values():
            most = MOST if len(group) > 1 and _gains(group[0][1]) else 1
            for start in range(0, len(group), most):
                if left() <= 0:
                    raise OutOfTime
                yield from _together(group[start : start + most], work)


def _gains(trial: Trial) -> bool:
    """Return whether the seeds of such a trial are better trained together; say it where they are not."""
    backend.start(trial.threads, trial.device)
    images = open_splits(trial.data.folder).train
    gains = trial.learner.gains_together(images.image_shape, len(images.classes))
    if not gains:
        print(f"{trial.method} is wide: its seeds are trained one after the other", file=sys.stderr)
    return gains


def _together(group: list[tuple[int, Trial]], work: Work) -> Iterator[tuple[int, Any]]:
    """Yield what `work` would return of each trial; they share the time equally.

    Where they do not fit the device's memory, half as many do, or one by one they say what does.
    """
    if len(group) == 1:
        yield group[0][0], work(group[0][1])
        return
    trials = [trial for _, trial in group]
    first = trials[0]
    backend.start(first.threads, first.device)
    tasks = [trial.protocol.sample_task(open_splits(trial.data.folder), trial.seed) for trial in trials]
    begin = time.perf_counter()
    try:
        images = [task.train.repeated(trial.seed) for task, trial in zip(tasks, trials, strict=True)]
        learners = first.learner.fit_together(images, [trial.seed for trial in trials])
    except Exception as error:
        if not backend.is_out_of_memory(error):
            raise
        half = len(group) // 2
        yield from _together(group[:half], work)
        yield from _together(group[half:], work)
        return
    seconds = (time.perf_counter() - begin) / len(group)
    for (position, trial), task, learner in zip(group, tasks, learners, strict=True):
        begin = time.perf_counter()
        probabilities = None if isinstance(learner, DivergedError) else learner.predict(task.test.x)
        yield position, outcome(trial, task, learner, seconds + time.perf_counter() - begin, probabilities)
