"""What things are called: methods, where there is little room, and tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fewshot.data.protocols import protocols, takes_shots

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


def tasks(protocol: Mapping) -> str:
    """Return what a protocol, as records and documents tell of it, draws of which data, in a line."""
    known = protocol["name"] in protocols
    shots = f" × {protocol.get('shots')} images" if not known or takes_shots(protocol["name"]) else ""
    return f"{protocol['data']}, {protocol['name']}: {_classes(protocol)}{shots}"


def _classes(protocol: Mapping) -> str:
    fixed = protocol.get("classes")
    if fixed:
        return " / ".join(map(str, fixed))
    return f"{protocol['ways']} classes" if protocol.get("ways") else "all classes"
