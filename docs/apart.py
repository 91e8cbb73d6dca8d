"""Parameters that a docstring names together, each with its own type: an extension of mkdocstrings.

`jobs, threads` above one description would get the type of `jobs` for both.
"""

import re
from typing import Any

import griffe

TOGETHER = re.compile(r"^(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)+)\n(?P<text>(?: +.*\n?)+)", re.M)


class Apart(griffe.Extension):
    """Gives each of several names the description that they share."""

    def on_object(self, *, obj: griffe.Object, **context: Any) -> None:
        """Write the docstring of an object anew."""
        if obj.docstring and "Parameters\n---" in obj.docstring.value:
            obj.docstring.value = TOGETHER.sub(_each, obj.docstring.value)


def _each(match: re.Match[str]) -> str:
    text = match["text"].rstrip("\n") + "\n"
    return "".join(f"{name}\n{text}" for name in match["names"].split(", "))
