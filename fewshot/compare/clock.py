"""The budget of time of a comparison."""

import dataclasses
import math
import re
import time
from dataclasses import dataclass

from fewshot.errors import UsageError, field

LEAST_BUDGET = 60.0


@dataclass(frozen=True)
class Clock:
    """A budget in seconds, and when it began: now, unless given."""

    budget: float
    begin: float = dataclasses.field(default_factory=time.monotonic)

    def left(self, share: float = 1.0) -> float:
        """Return the seconds until a share of the budget is gone."""
        return self.begin + share * self.budget - time.monotonic()


def seconds(budget: str | float) -> float:
    """Return a time in seconds: of `90`, `"90s"`, `"20m"` or `"1.5h"`; `UsageError` for anything else."""
    if isinstance(budget, int | float) and not isinstance(budget, bool) and 0 < budget < math.inf:
        return float(budget)
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", budget) if isinstance(budget, str) else None
    if not parts or not float(parts[1]):
        raise UsageError(f"{field('budget')} wants a time, such as 90s, 20m or 1h. Received: {budget!r}")
    return float(parts[1]) * {"s": 1, "m": 60, "h": 3600}[parts[2] or "s"]


def check_budget(seconds: float) -> None:
    """Raise `UsageError` for a budget that is too short for anything."""
    if seconds < LEAST_BUDGET:
        raise UsageError(
            f"a budget of {seconds:.0f} s is too short for anything: "
            f"{LEAST_BUDGET:.0f}s are the least, 10m do more"
        )
