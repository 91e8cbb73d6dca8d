"""The budget of time of a comparison."""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from fewshot.errors import UsageError, field

LEAST_BUDGET = 60.0
UNITS = {"s": 1, "m": 60, "h": 3600}
WANTED = "wants a time, such as 90s, 20m or 1h"


@dataclass(frozen=True)
class Clock:
    """A budget in seconds that begins now. now: tells the time, in seconds."""

    budget: float
    now: Callable[[], float] = time.monotonic
    begin: float = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "begin", self.now())

    def gone(self) -> float:
        """Return the seconds that are gone."""
        return self.now() - self.begin

    def left(self) -> float:
        """Return the seconds that are left; negative where the budget is overdrawn."""
        return self.budget - self.gone()


def share_of_core(work: float = 0.05, patience: float = 0.5) -> float:
    """Return how much of a core this thread gets on a busy machine, from 0 to 1, by working for a moment.

    work: so many seconds of computing. patience: so many seconds at most.
    """
    begin, before = time.perf_counter(), time.thread_time()
    while True:
        done, gone = time.thread_time() - before, time.perf_counter() - begin
        if done >= work or gone >= patience:
            return min(1.0, max(done, 1e-3) / gone)


def seconds(budget: str | float) -> float:
    """Return a time in seconds: of `90`, `"90s"`, `"20m"` or `"1.5h"`; `UsageError` for anything else."""
    duration = 0.0
    if isinstance(budget, int | float) and not isinstance(budget, bool):
        duration = float(budget)
    elif isinstance(budget, str) and (parts := re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", budget)):
        duration = float(parts[1]) * UNITS[parts[2] or "s"]
    if not 0 < duration < math.inf:
        raise UsageError(f"{field('budget')} {WANTED}. Received: {budget!r}")
    return duration


def check_budget(seconds: float) -> None:
    """Raise `UsageError` for a budget that is too short for anything."""
    if seconds < LEAST_BUDGET:
        raise UsageError(
            f"a budget of {seconds:.0f} s is too short for anything: "
            f"{LEAST_BUDGET:.0f}s are the least, 10m do more"
        )
