"""What a group of trials was measured under: data, protocol, machine and libraries, from its records."""

from __future__ import annotations

from collections.abc import Iterable

from fewshot.report.groups import Group
from fewshot.report.table import NONE


def conditions(group: Group) -> dict[str, str]:
    """Return what a group was measured under, from its records."""
    records, protocol = group.records, group.protocol
    seeds = sorted({record.seed for record in records})
    libraries = [record.learner.get("libraries", {}) for record in records]
    machines = [record.machine for record in records]
    shown_apart = ("data", "content", "name")
    settings = [f"{key} {_plain(value)}" for key, value in protocol.items() if key not in shown_apart]
    content = f" (content {str(protocol['content'])[:12]}…)" if protocol.get("content") else ""
    return {
        "data": f"{protocol['data']}{content}",
        "protocol": f"{protocol['name']}: {', '.join(settings)}",
        "seeds": f"{seeds[0]}–{seeds[-1]}" + ("" if len(seeds) == seeds[-1] - seeds[0] + 1 else ", not all"),
        "threads a trial": _several(record.threads for record in records),
        "device": _several(record.device for record in records),
        "processor": _several(machine.get("cpu", NONE) for machine in machines),
        "Python": _several(machine.get("python", NONE) for machine in machines),
        "libraries": _several(f"{name} {version}" for used in libraries for name, version in used.items()),
        "fewshot": _several(record.fewshot or NONE for record in records),
    }


def _plain(value: object) -> str:
    if value is None:
        return "all"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " / ".join(map(str, value)) or "drawn" if isinstance(value, list) else str(value)


def _several(values: Iterable) -> str:
    return ", ".join(dict.fromkeys(map(str, values))) or NONE
