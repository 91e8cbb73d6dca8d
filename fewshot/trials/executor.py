"""Executors: what computes trials, and what happens when a worker dies.

`fewshot.trials.processes.Processes` on this machine, `fewshot.trials.together.Together` on its GPU,
`fewshot.trials.cluster.Cluster` on many machines; `fewshot.trials.plan.Machine.open` chooses.
"""

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


class Executor(Protocol):
    """Where trials are computed.

    shares_disk: whether workers see the files of this machine, checkpoints among them. trains_together:
    whether seeds of one method, given at once, take less time than one after the other.
    """

    @property
    def shares_disk(self) -> bool: ...

    @property
    def trains_together(self) -> bool: ...

    def compute(self, pending: dict[int, Trial], work: Work) -> Iterator[tuple[int, Any]]:
        """Yield (position, result) as `work` ends on each trial; `pending` may shrink meanwhile.

        Raises `WorkerDied` where trials did not come to their end because their workers died.
        """


def each(pending: dict[int, Trial], executor: Executor, work: Work) -> Iterator[tuple[int, Any]]:
    """Yield (position, result) as `work` ends on each trial; what dies with its worker runs again.

    A trial may be anything that has data, threads and device.

    Raises
    ------
    FewshotError
        Where workers keep dying.
    """
    left, lives = dict(pending), LIVES
    while left:
        try:
            for i, result in executor.compute(left, work):
                del left[i]
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
