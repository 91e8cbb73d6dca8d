"""The errors a user sees: one line that says what is wrong and how to mend it, whichever face shows it.

A message names an option by its field: `UsageError(f"the image is too small: raise {field('image_size')}")`.
Python shows `image_size=`, the command line its flag.
"""

from __future__ import annotations

import difflib
import numbers
import os
import re
import sys
import zlib
from ast import literal_eval
from collections.abc import Callable, Iterable

DEBUG = "FEWSHOT_DEBUG"  # the variable with which tracebacks are shown, in workers, too
LISTED = 20  # names in a message
# Characters of private use enclose a field, and a check tells it from a text of somebody who uses them, too.
MARKED = re.compile("\ue000(\\w+)\ue001([^\ue000-\ue002]*)\ue001([0-9a-f]{8})\ue002")


def debugging() -> bool:
    """Return whether tracebacks are to be shown beside the line that says what is wrong."""
    return bool(os.environ.get(DEBUG))


Style = Callable[[str, object], str]
"""What shows a field: its name and its value, None for a field without one."""


def field(name: str, value: object = None) -> str:
    """Return text that stands for a field in a message, until `render` shows it.

    Parameters
    ----------
    name : the field, as Python spells it: `image_size`.
    value : a value to suggest: a number, a name, a path.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool):  # also one of NumPy's
        value = int(value) if isinstance(value, numbers.Integral) else float(value)
        value = value if is_finite(value) else str(value)
    elif not isinstance(value, bool | None):
        value = str(value)
    written = repr(value)  # which escapes characters of private use
    return f"\ue000{name}\ue001{written}\ue001{_check(name, written)}\ue002"


def is_finite(value: float) -> bool:
    """Return whether a number is one that a float can be: `math.isfinite` raises for larger ones."""
    return abs(value) <= sys.float_info.max


def _check(name: str, written: str) -> str:
    return f"{zlib.crc32(f'field {name} {written}'.encode(errors='backslashreplace')):08x}"


def python(name: str, value: object = None) -> str:
    """Show a field as a keyword argument: `shots=5`, `image_size=`."""
    return f"{name}=" if value is None else f"{name}={value!r}"


def render(text: str, style: Style = python) -> str:
    """Return a text with its fields shown in a style."""

    def shown(marked: re.Match[str]) -> str:
        name, written, check = marked.groups()
        return style(name, literal_eval(written)) if check == _check(name, written) else marked[0]

    return MARKED.sub(shown, text)


class FewshotError(Exception):
    """Something went wrong that the message explains; the command line exits with 1.

    `str(error)` shows fields as Python does, `error.render(style)` in another way. An error that is raised
    while one is handled and quotes it (`f"{error} (of the second worker)"`) keeps the fields of that.
    """

    exit_code = 1

    def __init__(self, message: str = ""):
        quoted = sys.exception()
        if isinstance(quoted, FewshotError) and str(quoted):
            message = message.replace(str(quoted), quoted.args[0])
        super().__init__(message)

    def __str__(self) -> str:
        return self.render()

    def render(self, style: Style = python) -> str:
        """Return the message with its fields shown in a style."""
        return render(self.args[0], style)


class UsageError(FewshotError):
    """The request itself cannot be met (a name, a number, a folder); the command line exits with 2."""

    exit_code = 2


class BrokenCode(UsageError):
    """A user's code raised something, or breaks the contract. The testbed records the trial as failed."""


class NoRoom(FewshotError):
    """More memory is wanted than there is. The testbed records the trial as failed."""


class DivergedError(FewshotError):
    """Training produced a loss that is no number. The testbed records the trial as failed."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that is not among `known`, with the nearest one as a suggestion."""
    known = list(known)
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    more = f", … ({len(known)} in all)" if len(known) > LISTED else ""
    return UsageError(f"unknown {kind} '{name}': {hint}known are {', '.join(known[:LISTED])}{more}")
