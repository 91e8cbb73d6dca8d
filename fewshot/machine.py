"""What this process may use of the machine: cores and memory, limits of containers included; its cache."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fewshot.errors import NoRoom, UsageError

LIMIT = "LOKY_MAX_CPU_COUNT"  # joblib's variable: at most so many cores
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def cores() -> int:
    """Return how many cores this process may use.

    Those that it is bound to, no more than a container's quota, and no more than `LOKY_MAX_CPU_COUNT`.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [bound, *_quotas()]
    if text := os.environ.get(LIMIT):
        if not text.isdecimal() or int(text) < 1:
            raise UsageError(f"the variable {LIMIT} wants a whole number above 0. Received: '{text}'")
        limits.append(int(text))
    return max(1, min(limits))


def processor() -> str:
    """Return what the system calls its processor, or the architecture where it has no name for it."""
    return platform.processor() or platform.machine()


def cache_dir() -> Path:
    """Return the folder for all that is fetched or prepared: `FEWSHOT_CACHE`, or the user's cache."""
    if folder := os.environ.get("FEWSHOT_CACHE"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fewshot"


def memory() -> int | None:
    """Return how many bytes of memory this process may still take; None where nobody says."""
    free = [*_free(), *_left_of_cgroups()]
    return max(0, min(free)) if free else None


def room(wanted: int, what: str, cure: str) -> None:
    """Raise `NoRoom` where so many bytes are more than this process may take.

    what: what needs them, such as "40,000 images of 512×512". cure: what would fit, as a sentence's end.
    """
    there = memory()
    if there is not None and wanted > there:
        raise NoRoom(f"{what} would take {size(wanted)} of memory, and {size(there)} are free: {cure}")


def space(wanted: int, folder: Path, what: str, cure: str) -> None:
    """Raise `NoRoom` where so many bytes are more than the disk of an existing folder has left."""
    with suppress(OSError):
        there = shutil.disk_usage(folder).free
        if wanted > there:
            raise NoRoom(f"{what} would take {size(wanted)} of {folder}, and {size(there)} are free: {cure}")


def size(count: float) -> str:
    """Return a number of bytes in words: "3.1 GB"."""
    units = ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while count >= 1000 and len(units) > 1:
        count, units = count / 1000, units[1:]
    return f"{count:,.{0 if units[0] == 'bytes' or count >= 100 else 1}f} {units[0]}"


def _quotas() -> Iterator[int]:
    """Yield the cores that the quotas of this process's control groups allow, rounded up."""
    for folder in _cgroups("cpu"):
        with suppress(OSError, ValueError):  # no such file, or "max"
            quota, period = map(int, (folder / "cpu.max").read_text().split())
            yield -(-quota // period)
        with suppress(OSError, ValueError):  # version 1
            quota = int((folder / "cpu.cfs_quota_us").read_text())
            if quota > 0:
                yield -(-quota // int((folder / "cpu.cfs_period_us").read_text()))


def _free() -> Iterator[int]:
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024
    with suppress(OSError, ValueError, AttributeError):  # all there is, where nobody tells what is free
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _left_of_cgroups() -> Iterator[int]:
    """Yield what the limits of this process's control groups leave; what files fill can be had back."""
    for limit, usage, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        for folder in _cgroups("memory"):
            with suppress(OSError, ValueError):
                most, used = int((folder / limit).read_text()), int((folder / usage).read_text())
                lines = map(str.split, (folder / "memory.stat").read_text().splitlines())
                yield most - used + next((int(value) for name, value in lines if name == cached), 0)


def _cgroups(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control groups, from its own up to the root."""
    with suppress(OSError):
        for line in OWN_CGROUP.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            # Inside of a container the path may be the host's: the root then is the container's own.
            root = CGROUPS / controller if controllers else CGROUPS
            below = root / path.lstrip("/")
            yield from (folder for folder in (below, *below.parents) if folder.is_relative_to(root))
