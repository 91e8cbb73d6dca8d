"""Compilations kept from process to process: JAX's persistent cache, in our cache folder, bounded in size.

What an entry is found by is JAX's own affair: the program, its version, the device. Each kind of processor
has a folder of its own, since machine code of one may not run on another that shares the disk.

`JAX_ENABLE_COMPILATION_CACHE=false` switches it off, and
`JAX_COMPILATION_CACHE_DIR` names another place, which is then left as JAX has it.
"""

from __future__ import annotations

import contextlib
import platform
import re
import shutil
import sys
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fewshot.machine import cache_dir, size

SWITCH = "JAX_ENABLE_COMPILATION_CACHE"
MOST = 2**30  # bytes; the least recently used entries make room for new ones
LEAST = 2**26  # bytes; on a disk with less to spare nothing is kept
OTHERWISE = "make room there, or let FEWSHOT_CACHE name another folder"
FAILURE = re.compile(r"Error \w+ persistent compilation cache entry for '.*': (\w+): (.*)", re.DOTALL)
UNUSABLE = ("OSError", "PermissionError", "NotADirectoryError", "IsADirectoryError")  # as JAX names them


def keep(jax: Any) -> None:
    """Let JAX keep what it compiles; a line on standard error says why where it cannot.

    Call it before anything is compiled.
    """
    if not jax.config.jax_enable_compilation_cache or jax.config.jax_compilation_cache_dir:
        return
    folder = cache_dir() / "compilations" / _processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        most = min(MOST, (shutil.disk_usage(folder).free + _taken(folder)) // 2)
    except OSError as error:
        _say(f"compilations are not kept: cannot write {folder} ({error.strerror}): {OTHERWISE}")
        return
    if most < LEAST:
        _say(f"compilations are not kept: {size(2 * most)} are free for them in {folder}: {OTHERWISE}")
        return
    for name, value in {
        "jax_compilation_cache_dir": str(folder),
        "jax_compilation_cache_max_size": most,
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }.items():
        jax.config.update(name, value)
    _watch(folder)


def _watch(folder: Path) -> None:
    """Put a line of ours, once, in the place of JAX's warnings, of which there is one a function."""
    told: set[str] = set()
    shown = warnings.showwarning

    def show(message: Any, *further: Any, **named: Any) -> None:
        if failure := FAILURE.match(str(message)):
            why = _mend(folder, *failure.groups())
            if why and why not in told:
                _say(why)
            told.add(why)
        else:
            shown(message, *further, **named)

    warnings.showwarning = show


def _mend(folder: Path, kind: str, detail: str) -> str:
    """Make the folder such that JAX fills it anew, and say what was wrong; nothing for what passes.

    JAX never replaces an entry, not even one that it cannot read.
    """
    from filelock import FileLock, Timeout

    if kind == "Timeout":  # others write much at the time
        return ""
    unusable = kind in UNUSABLE
    try:
        with FileLock(folder / ".lockfile", timeout=10):  # JAX's own
            entries = list(folder.glob("*-cache"))
            _remove(entry for entry in entries if not unusable or not _dated(entry).exists())
    except (OSError, Timeout):
        unusable = True
    if unusable:
        return f"compilations are not kept: cannot use {folder} ({detail}): {OTHERWISE}"
    return f"the compilations in {folder} are damaged ({kind}: {detail}): removed, and compiled anew"


def _dated(entry: Path) -> Path:
    """Return the file that says when an entry was used; one that was written in part has none."""
    return entry.with_name(entry.name.removesuffix("cache") + "atime")


def _remove(entries: Iterable[Path]) -> None:
    for entry in entries:
        entry.unlink(missing_ok=True)
        _dated(entry).unlink(missing_ok=True)


def _taken(folder: Path) -> int:
    """Return the bytes of all entries; others may be removing some."""
    taken = 0
    for entry in folder.glob("*-cache"):
        with contextlib.suppress(FileNotFoundError):
            taken += entry.stat().st_size
    return taken


def _processor() -> str:
    """Return a name of this kind of processor: its architecture, and a sum of the extensions that it has."""
    extensions = platform.processor()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        extensions = next((line for line in lines if line.startswith(("flags", "Features"))), extensions)
    return f"{platform.machine()}-{zlib.crc32(extensions.encode()):08x}"


def _say(line: str) -> None:
    print(line, file=sys.stderr)
