"""The budget of time of a comparison."""

import time
from dataclasses import dataclass, field

from fewshot.errors import UsageError

LEAST_BUDGET = 60.0


@dataclass(frozen=True)
class Clock:
    """A budget in seconds, and when it began: now, unless given."""

    budget: float
    begin: float = field(default_factory=time.monotonic)

    def left(self, share: float = 1.0) -> float:
        """Return the seconds until a share of the budget is gone."""
        return self.begin + share * self.budget - time.monotonic()


def check_budget(seconds: float) -> None:
    """Raise `UsageError` for a budget that is too short for anything."""
    if seconds < LEAST_BUDGET:
        raise UsageError(
            f"a budget of {seconds:.0f} s is too short for anything: "
            f"{LEAST_BUDGET:.0f}s are the least, 10m do more"
        )
