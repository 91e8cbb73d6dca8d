"""Letters of every language in pictures: which installed fonts have them, and what to write where none has.

Matplotlib lists the fonts that are installed and brings one with most of the letters of Europe. Others
(Chinese, Japanese, Arabic, emoji) are looked for in all that are listed; a letter that none has is written
as its number in Unicode, or by its name where it is a picture: never as a box.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry

# A font that has a box for every letter, and fonts of formulas, whose letters stand at others' numbers.
UNFIT = ("Last Resort", "cm", "STIXNon", "STIXSize")
USUAL = "DejaVu Sans"
INVISIBLE = ("Mn", "Cf")  # marks that join with the letter before them


def families_for(text: str) -> list[str]:
    """Return the families of installed fonts that have what the usual one lacks of a text, few of them."""
    lacking = _drawn(text) - _letters(_file_of(USUAL))
    chosen: list[str] = []
    while lacking:
        best, has = max(
            ((family, len(lacking & _letters(file))) for family, file in _installed().items()),
            key=lambda one: one[1],
            default=("", 0),
        )
        if not has:
            break
        chosen.append(best)
        lacking -= _letters(_installed()[best])
    return chosen


def font_file(text: str) -> Path:
    """Return the installed font that has most of the letters of a text."""
    wanted = _drawn(text)
    usual = _file_of(USUAL)
    if not wanted - _letters(usual):
        return Path(usual)
    files = [usual, *_installed().values()]
    return Path(max(files, key=lambda file: len(wanted & _letters(file))))


def legible(text: str, files: Iterable[str | Path] | None = None) -> str:
    """Return a text without letters that no font has: a name or a number in their place.

    files: the fonts; all that are installed if None.
    """
    composed = unicodedata.normalize("NFC", text)
    fonts = [_file_of(USUAL), *_installed().values()] if files is None else list(map(str, files))
    known = _letters(fonts[0])
    if not (lacking := _drawn(composed) - known):
        return composed
    known = known.union(*map(_letters, fonts[1:]))
    written = {ord(letter): _spelt(letter) for letter in map(chr, lacking - known)}
    # What joins letters, or says how one is drawn, says nothing beside a name.
    written |= {ord(letter): "" for letter in composed if written and unicodedata.category(letter) == "Cf"}
    return composed.translate(written)


def _spelt(letter: str) -> str:
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    if plain.strip():
        return plain
    kind, name = unicodedata.category(letter), unicodedata.name(letter, "").lower()
    if kind in INVISIBLE:
        return ""
    if kind in ("So", "Sk") and name:
        return f":{name}:"
    sound = name.rpartition(" letter ")[2] if " letter " in name else name.rpartition(" syllable ")[2]
    if sound.isalpha() and sound != name:
        return sound
    return f"<{ord(letter):04X}>"


def _drawn(text: str) -> set[int]:
    return {ord(letter) for letter in text if letter.isprintable() and letter != " "}


@functools.cache
def _installed() -> dict[str, str]:
    """Return family → the file of its upright, regular face, of all fonts that matplotlib lists."""
    from matplotlib.font_manager import fontManager

    def plainness(entry: FontEntry) -> tuple[bool, int]:
        return entry.style != "normal", abs((entry.weight if isinstance(entry.weight, int) else 400) - 400)

    files: dict[str, str] = {}
    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.name, *plainness(entry), entry.fname)):
        if not entry.name.startswith(UNFIT):
            files.setdefault(entry.name, entry.fname)
    return files


def _file_of(family: str) -> str:
    from matplotlib.font_manager import fontManager

    return _installed().get(family) or fontManager.findfont(family)


@functools.lru_cache(maxsize=256)
def _letters(file: str) -> frozenset[int]:
    """Return the letters of a font; none where it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(file).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()
