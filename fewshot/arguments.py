"""Checks of what a caller gives: a `UsageError` names the field, in place of a `TypeError` further down."""

from __future__ import annotations

import numbers
from collections.abc import Iterable

from fewshot.errors import UsageError, field

MOST_SEED = 2**32 - 1  # NumPy's
MOST_THREADS = 1024


def whole_number(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """Return an argument that is a whole number; `UsageError` for anything else."""
    number = int(value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else None
    if number is None or number < least:
        raise UsageError(f"{field(name)} wants a whole number from {least} on. Received: {value!r}")
    if most is not None and number > most:
        raise UsageError(f"{field(name)} wants a whole number, {most:,} at most. Received: {value!r}")
    return number


def count(name: str, value: object, most: int | None = None) -> int | None:
    """Return a whole number above 0, or None where nothing is said."""
    return None if value is None else whole_number(name, value, most=most)


def flag(name: str, value: object) -> bool:
    """Return an argument that is True or False; `UsageError` for anything else."""
    if not isinstance(value, bool):
        raise UsageError(f"{field(name)} is True or False. Received: {value!r}")
    return value


def names(name: str, value: object) -> tuple[str, ...]:
    """Return an argument that is a list of texts; `UsageError` for anything else."""
    listed = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else None
    if listed is None or not all(isinstance(text, str) for text in listed):
        raise UsageError(f"{field(name)} wants a list of names. Received: {value!r}")
    return listed
