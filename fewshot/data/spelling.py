"""How people spell it: the names of parts, and of classes in folders of any system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable

PARTS = {
    "train": {"train", "training", "trn"},
    "val": {"val", "valid", "validation", "dev", "eval", "evaluation"},
    "test": {"test", "testing", "tst", "holdout"},
}
FILLERS = "set|sets|data|dataset|images|image|imgs|img|photos|pictures|pics|split|folder"


def part_named(name: str, shared: Container[str] = ()) -> str | None:
    """Return which part a folder's name or a table's entry stands for: train, val, test or none.

    shared: words that say nothing, as all the names beside this one have them.
    """
    words = [word for word in _words(name) if word not in shared and not re.fullmatch(FILLERS, word)]
    if len(words) != 1:
        return None
    bare = re.sub(rf"({FILLERS})$", "", words[0])
    return next((part for part, spellings in PARTS.items() if spellings & {words[0], bare}), None)


def shared_words(names: Iterable[str]) -> set[str]:
    """Return the words that all of several names have: of `pets_train` and `pets_test`, `pets`."""
    words = [set(_words(name)) for name in names]
    return set.intersection(*words) if len(words) > 1 else set()


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", name.casefold())


def label_named(name: str) -> str:
    """Return a class's name as it is written everywhere: composed letters, and Unicode in any case."""
    raw = name.encode("utf-8", "surrogateescape")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:  # a folder of an old system: most are of western Europe
        text = raw.decode("cp1252", "replace")
    return unicodedata.normalize("NFC", text)
