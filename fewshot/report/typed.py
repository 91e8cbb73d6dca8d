"""Values of a document that anybody may have written, each of the type that it has to be, or an error."""

from __future__ import annotations

from collections.abc import Mapping

from fewshot.errors import is_finite
from fewshot.stats.intervals import Estimate
from fewshot.trials.record import MOST


def number(value: object) -> float:
    """Return a finite number; `TypeError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite(value):
        raise TypeError(f"no number: {value!r}")
    return float(value)


def share(value: object) -> float:
    """Return a number from 0 to 1; `TypeError` or `ValueError` for anything else."""
    part = number(value)
    if not 0 <= part <= 1:
        raise ValueError(f"no share: {part}")
    return part


def count(value: object) -> int:
    """Return how many of something there are; `TypeError` or `ValueError` for what is no such number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"no count: {value!r}")
    if not 0 <= value <= MOST:
        raise ValueError(f"no count: {value}")
    return value


def text(value: object) -> str:
    """Return a text; `TypeError` for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return value


def entries(value: object) -> list:
    """Return a list; `TypeError` for anything else."""
    if not isinstance(value, list):
        raise TypeError(f"no list: {value!r}")
    return value


def named(value: object) -> dict:
    """Return an object with text for keys; `TypeError` for anything else."""
    if not isinstance(value, Mapping):
        raise TypeError(f"no object: {value!r}")
    return {text(name): content for name, content in value.items()}


def estimate(value: Mapping) -> Estimate:
    """Return an estimate as documents hold it."""
    interval, reason = value["interval"], value["reason"]
    if interval is not None:
        low, high = map(number, entries(list(interval)))
        interval = low, high
    return Estimate(
        number(value["value"]), count(value["n"]), interval, None if reason is None else text(reason)
    )
