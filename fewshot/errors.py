"""The errors a user sees: one line that says how to mend it, and the exit code of the command line."""

import difflib
from collections.abc import Iterable

LISTED = 20  # names in a message


class FewshotError(Exception):
    """Something went wrong that the message explains; the command line exits with 1."""

    exit_code = 1


class UsageError(FewshotError):
    """The request itself cannot be met (a name, a number, a folder); the command line exits with 2."""

    exit_code = 2


class DivergedError(FewshotError):
    """Training produced a loss that is no number. The testbed records the trial as failed."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that is not among `known`, with the nearest one as a suggestion."""
    known = list(known)
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    more = ", … (--help lists all)" if len(known) > LISTED else ""
    return UsageError(f"unknown {kind} '{name}': {hint}known are {', '.join(known[:LISTED])}{more}")
