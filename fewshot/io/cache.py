"""The cache: one folder for all that is fetched, prepared or trained once, each part built exactly once."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from fewshot.errors import FewshotError, field
from fewshot.io.files import mark_output
from fewshot.machine import cache_dir


def set_aside(path: Path, why: str) -> None:
    """Rename what is damaged to `….damaged`, and say so: it is computed anew, nothing is lost.

    Raises `OSError`.
    """
    aside = path.with_name(f"{path.name}.damaged")
    if aside.is_dir():
        shutil.rmtree(aside)
    os.replace(path, aside)
    print(f"{why}: set aside as {aside.name}, and computed anew", file=sys.stderr)


def sound(folder: Path, build: Callable[[Path], None], damage: Callable[[Path], str]) -> Path:
    """Return `folder` as `build_once` does, built anew where `damage(folder)` says what is wrong with it.

    Raises `FewshotError` where what is damaged cannot be set aside.
    """
    from filelock import FileLock

    build_once(folder, build)
    if why := damage(folder):
        told = f"the cache folder {folder} is damaged ({why})"
        try:
            with FileLock(folder.with_name(f".{folder.name}.lock")):
                if damage(folder):  # nobody else has built it anew meanwhile
                    set_aside(folder, told)
        except OSError as error:
            raise FewshotError(f"{told}: delete it and run again") from error
        build_once(folder, build)
    return folder


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder`; if it does not exist yet, `build(temporary)` fills what is then renamed to it.

    Two builders at once do no harm: the second waits and finds the folder done. A build that is cut off
    never counts. A disk that is full or cannot be written is a `FewshotError`.
    """
    from filelock import FileLock

    if folder.is_dir():
        return folder
    temporary = folder.with_name(f".{folder.name}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if cache_dir() in folder.parents:
            mark_output(cache_dir())  # it may lie among the photos
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if folder.is_dir():
                return folder
            # Left by a process that was killed: the lock says that nobody else is at work on it.
            shutil.rmtree(temporary, ignore_errors=True)
            try:
                temporary.mkdir()
                build(temporary)
                os.rename(temporary, folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise FewshotError(
            f"cannot write the cache {folder}: {error.strerror or error}; "
            f"make room there or choose another place with {field('cache_dir', 'DIR')}"
        ) from error
    return folder
