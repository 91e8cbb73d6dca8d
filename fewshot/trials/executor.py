"""Executors: what computes trials, and what happens when a worker dies.

`fewshot.trials.processes.Processes` on this machine, `fewshot.trials.together.Together` on its GPU,
`fewshot.trials.cluster.Cluster` on many machines; `fewshot.trials.plan.Machine.open` chooses.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from fewshot.errors import FewshotError, field
from fewshot.trials.trial import Trial

LIVES = 3  # how often workers may die without a trial coming to its end before the run gives up
AGAIN = "a worker process died: its trial runs again"

Work = Callable[[Trial], Any]


class WorkerDied(Exception):
    """A worker came to its end before its trial did."""


class OutOfTime(Exception):
    """Trials were given up, or not begun, since the time that they had is gone."""


def forever() -> float:
    """Return the seconds that are left where there is no hurry."""
    return math.inf


class Executor(Protocol):
    """Where trials are computed.

    shares_disk: whether workers see the files of this machine, checkpoints among them. trains_together:
    whether seeds of one method, given at once, take less time than one after the other.
    """

    @property
    def shares_disk(self) -> bool: ...

    @property
    def trains_together(self) -> bool: ...

    def compute(
        self, pending: dict[int, Trial], work: Work, left: Callable[[], float] = forever
    ) -> Iterator[tuple[int, Any]]:
        """Yield (position, result) as `work` ends on each trial; `pending` may shrink meanwhile.

        left: tells how many seconds there are. When they are gone no trial begins, and those that other
        processes compute are given up.

        Raises `WorkerDied` where trials did not come to their end because their workers died, and
        `OutOfTime`.
        """


def each(
    pending: dict[int, Trial], executor: Executor, work: Work, left: Callable[[], float] = forever
) -> Iterator[tuple[int, Any]]:
    """Yield (position, result) as `work` ends on each trial; what dies with its worker runs again.

    A trial may be anything that has data, threads and device. left: as for `Executor.compute`.

    Raises
    ------
    OutOfTime
        Where the seconds that are left do not suffice for all of them.
    FewshotError
        Where workers keep dying.
    """
    waiting, lives = dict(pending), LIVES
    while waiting:
        if left() <= 0:
            raise OutOfTime
        try:
            for i, result in executor.compute(waiting, work, left):
                del waiting[i]
                lives = LIVES
                yield i, result
        except WorkerDied as error:
            lives -= 1
            if not lives:
                raise FewshotError(
                    f"worker processes keep dying (out of memory?): use fewer {field('jobs')}, or give a "
                    "cluster's workers more memory; what is recorded stays, and the same command resumes"
                ) from error
            print(AGAIN, file=sys.stderr)
