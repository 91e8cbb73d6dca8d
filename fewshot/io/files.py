"""Files: written whole or not at all, under names that every file system takes."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from fewshot.errors import FewshotError, field


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield where to write what becomes `path` when the block ends; if it fails, nothing has changed.

    The folder is made if need be, and the new content is on disk before it takes the place of the old.
    The temporary file begins with a dot and ends as `path` does. Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(16)}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):  # the error on its way says more
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder for writing in the block, made if need be; `FewshotError` if another run holds it.

    Raises `OSError` where it cannot be written.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise FewshotError(
            f"another run is writing to {folder}: wait for it, or give another {field('out')}"
        ) from None
    try:
        yield
    finally:
        lock.release()


def slug(text: str, keep: str = "") -> str:
    """Return a text as part of a file name: all but letters, digits, `_`, `.` and `-` becomes `-`.

    Parameters
    ----------
    keep
        Further characters that stay as they are.
    """
    return re.sub(rf"[^\w.{re.escape(keep)}-]", "-", text)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write pictures to `folder` into one line."""
    try:
        yield
    except OSError as error:
        raise FewshotError(
            f"cannot write the pictures to {folder} ({error.strerror}): use another {field('out')}"
        ) from error


@contextlib.contextmanager
def writing_results(out: Path, *names: str) -> Iterator[Path]:
    """Yield the folder of some names in `out`, made and marked, for what is written in the block.

    Both `out` and what is directly in it are marked: `out` may be a folder of photos, too. A failure to write
    there is one line.
    """
    folder = out.joinpath(*names)
    with writing(folder):
        mark_output(out)
        mark_output(out / names[0])
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


MARK = ".fewshot"  # in a folder that this project writes to
_OUTPUTS = (MARK, "trials.jsonl")  # the records of earlier versions are known by their file


def mark_output(folder: Path) -> None:
    """Mark a folder as written by this project, so that it is never taken for photos.

    It is made if need be. Raises `OSError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / MARK
    if not mark.exists():
        mark.write_text("This folder was written by fewshot: nothing in it is learnt from.\n", "utf-8")


def is_output(folder: Path) -> bool:
    """Return whether this project wrote a folder."""
    return any((folder / name).is_file() for name in _OUTPUTS)
