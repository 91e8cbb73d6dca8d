"""Words that messages, tables and pages share."""

from __future__ import annotations

import re
from collections.abc import Mapping

LONGEST_WORD = 300  # letters of a word in a message
EVIDENCE = "Orange speaks for the answer, blue against it."  # under pictures of where a model looks


def plural(n: int, noun: str, many: str | None = None) -> str:
    """Return "1 task" or "2 tasks", "1 class" or "2,000 classes". many: the plural, unless an s makes it."""
    return f"{n} {noun}" if n == 1 else f"{n:,} {many or noun + 's'}"


def by_reason(left_out: Mapping[str, str], form: str) -> list[str]:
    """Return each reason once, with the names of what it is of. form: of {names} and {why}."""
    reasons: dict[str, list[str]] = {}
    for name, why in left_out.items():
        reasons.setdefault(why, []).append(name)
    return [form.format(names=", ".join(names), why=why) for why, names in reasons.items()]


def one_line(error: object) -> str:
    """Return an error's message on one line; its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def readable(text: object) -> str:
    """Return a text on one line that can be written anywhere: what is no character of Unicode is escaped."""
    clean = str(text).encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in clean)


def shortened(text: str) -> str:
    """Return a message whose overlong words have lost their middle, and that can be written anywhere.

    What a message quotes, a value or a file's name, may be of any length and of any letters.
    """
    half = LONGEST_WORD // 2
    cut = re.sub(rf"(\S{{{half}}})\S{{{half},}}(\S{{{half}}})", r"\1…\2", text)
    return "\n".join(map(readable, cut.split("\n")))
