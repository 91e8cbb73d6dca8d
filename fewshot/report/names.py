"""Names that fit into a picture."""

from collections.abc import Iterable

LONGEST = 32  # characters


def shortened(names: Iterable[str]) -> dict[str, str]:
    """Return name → what a picture calls it: long ones lose their middle, and no two become the same."""
    short, taken = {}, set()
    for name in dict.fromkeys(names):
        half = LONGEST // 2
        text = name if len(name) <= LONGEST else f"{name[:half]}…{name[1 - half :]}"
        number, unique = 2, text
        while unique in taken:
            number, unique = number + 1, f"{text} #{number}"
        taken.add(unique)
        short[name] = unique
    return short
