"""Interleaved rounds: a machine whose speed drifts treats all contenders alike, and the least time counts."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Measurement = TypeVar("Measurement")


def interleaved(
    contenders: Mapping[str, Callable[[], Measurement]], rounds: int, progress: bool = False
) -> dict[str, list[Measurement]]:
    """Call every contender once a round, and return what each returned, round by round.

    progress: name each call on the standard error.
    """
    measurements: dict[str, list[Measurement]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, measure in contenders.items():
            if progress:
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
            measurements[name].append(measure())
    return measurements


def seconds(function: Callable[[], object]) -> float:
    """Return how long a call takes."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def least_seconds(
    functions: Mapping[str, Callable[[], object]], rounds: int, progress: bool = False
) -> dict[str, float]:
    """Return the least seconds of each function over interleaved rounds, after one that compiles."""

    def timed(function: Callable[[], object]) -> Callable[[], float]:
        return lambda: seconds(function)

    times = interleaved({name: timed(f) for name, f in functions.items()}, rounds + 1, progress)
    return {name: min(values[1:]) for name, values in times.items()}
