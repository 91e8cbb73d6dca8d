"""Prepared images on another machine: found there, or received once, a block after the other.

A user's folder of photos exists on one machine, and a worker may have no way to the web: so the driver sends
what a machine lacks. Blocks carry their place in the file, so that a transfer cut off is simply begun again,
and two at once write the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fewshot.data.catalogue import Prepared, verify
from fewshot.data.sources import open_prepared, read_meta
from fewshot.errors import FewshotError
from fewshot.io.cache import build_once, cache_dir

BLOCK = 1 << 24  # bytes


def find(data: Prepared) -> Prepared | None:
    """Return the same images as they lie on this machine, compared with their fingerprint once a process.

    They may lie at the same path (this is the same machine, or a shared disk), in this machine's own cache,
    or where `keep` has put them.
    """
    for folder in (data.folder, cache_dir() / "data" / data.folder.name, _kept(data)):
        if (folder / "meta.json").is_file() and read_meta(folder)["fingerprint"] == data.fingerprint:
            here = replace(data, folder=folder)
            verify(here)
            return here
    return None


def blocks(data: Prepared) -> Iterator[tuple[str, int, bytes]]:
    """Yield all files as (name, place in the file, content)."""
    for path in sorted(data.folder.iterdir()):
        with path.open("rb") as file:
            place = 0
            while block := file.read(BLOCK):
                yield path.name, place, block
                place += len(block)


def receive(data: Prepared, name: str, place: int, block: bytes) -> None:
    """Write a block of what the driver sends."""
    path = _incoming(data) / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with path.open("rb+") as file:
            file.seek(place)
            file.write(block)
    except OSError as error:
        raise FewshotError(f"cannot write {path}: {error.strerror}; make room there") from error


def keep(data: Prepared) -> None:
    """Move what was received to its place in the cache, if it is what was sent."""
    incoming = _incoming(data)

    def build(temporary: Path) -> None:
        for path in incoming.iterdir():
            os.replace(path, temporary / path.name)
        if _fingerprint(temporary) != data.fingerprint:
            raise FewshotError(f"the images of {data.name} changed on their way to this machine: run again")

    build_once(_kept(data), build)
    shutil.rmtree(incoming, ignore_errors=True)


def _fingerprint(folder: Path) -> str | None:
    try:
        return open_prepared(folder).fingerprint()
    except FewshotError:
        return None


def _kept(data: Prepared) -> Path:
    return cache_dir() / "data" / f"received-{data.fingerprint[:24]}"


def _incoming(data: Prepared) -> Path:
    folder = _kept(data)
    return folder.with_name(f".{folder.name}.incoming")
