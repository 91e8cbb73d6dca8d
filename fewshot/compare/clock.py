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
TYPED = (1, 2, 3, 4, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 480, 720, 1440)  # minutes that one types
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


class Pace:
    """How many times as long as guessed things of a kind take on this machine, by what it did so far."""

    def __init__(self) -> None:
        self._guessed: dict[str, float] = {}
        self._taken: dict[str, float] = {}

    def note(self, kind: str, guessed: float, taken: float) -> None:
        """Compare seconds with a guess; one of nothing tells nothing."""
        if guessed > 0:
            self._guessed[kind] = self._guessed.get(kind, 0.0) + guessed
            self._taken[kind] = self._taken.get(kind, 0.0) + taken

    def of(self, kind: str) -> float | None:
        """Return the factor of a kind, 1 or more; None where nothing of it has been done yet.

        What took less than guessed, such as a toy's trials, promises nothing for what takes long.
        """
        return max(1.0, self._taken[kind] / self._guessed[kind]) if kind in self._guessed else None


def typed(seconds: float) -> str:
    """Return the least budget that one types and that has so many seconds: "90m", "3h"."""
    needed = seconds / 60
    minutes = next((known for known in TYPED if known >= needed), 60 * math.ceil(needed / 60))
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


def minutes(seconds: float) -> str:
    """Return "45 s" or "2:05 min"."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02} min"


def share_of_core(work: float = 0.25, patience: float = 1.0) -> float:
    """Return how much of a core this thread gets on a busy machine, from 0 to 1, by working for a moment.

    Systems let who has slept go first: shorter work would see more than there is for long.

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
