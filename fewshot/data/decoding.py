"""Many photos from their files: by threads, ahead of who takes them, in the order of the files."""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from fewshot.data.depth import Levels, sample, undeclared, value_range
from fewshot.data.kinds import formats
from fewshot.data.photo import load_image
from fewshot.errors import field
from fewshot.machine import cores, memory, room

AHEAD = 64  # images decoded and not yet taken
SAMPLE = 100  # files that tell how large all are, and which values they hold

Read: TypeAlias = "Callable[[Path, int], np.ndarray]"


def decoded(files: Iterable[Path], size: int, read: Read | None = None) -> Iterator[np.ndarray | Exception]:
    """Yield each file's image as `read(file, size)` returns it, or the error, in the order of the files.

    Threads decode ahead of who takes the images, but no more than `AHEAD`: that bounds the memory.
    read: `load_image` unless another is given.
    """
    return _ahead(files, functools.partial(_attempt, read or load_image, size))


def check_memory(count: int, size: int, views: int = 1, whole: bool = False) -> None:
    """Raise `NoRoom` where decoding photos to `size` pixels would take more memory than there is.

    whole: they all stay in memory; else only those that are decoded ahead.
    """
    at_once = count if whole else min(count, AHEAD + cores())
    # Each as its reader makes it, and as it is kept.
    largest = math.isqrt((memory() or 0) // (6 * views * max(1, at_once)))
    what = f"{count:,} photos at {size:,}×{size:,} pixels"
    room(6 * views * at_once * size**2, what, f"use {field('image_size', largest)} or less")


def levels_of(files: Sequence[Path]) -> dict[str, tuple[float, float]]:
    """Return the ranges of what is deeper than 8 bits among photos, where the files declare none."""
    by_kind: dict[str, list[Path]] = {}
    for file, kind in zip(files, _ahead(files, _kind), strict=True):
        if kind:
            by_kind.setdefault(kind, []).append(file)
    levels = {}
    for kind, of_kind in by_kind.items():
        values = [found for found in _ahead(spread(of_kind), _values) if found is not None]
        if values:
            levels[kind] = value_range(np.concatenate(values))
    return levels


def short_side(files: Sequence[Path]) -> int:
    """Return the largest short side, in pixels, of some of the photos; 0 where none can be read."""
    from PIL import Image

    sides = [0]
    for file in spread(files):
        with contextlib.suppress(Exception), Image.open(file, formats=formats()) as image:
            sides.append(min(image.size))
    return max(sides)


def spread(files: Sequence[Path]) -> Sequence[Path]:
    """Return no more than about `SAMPLE` of the files, spread over them from the end."""
    return files[:: -(-len(files) // SAMPLE) or 1]


def with_levels(read: Callable[..., np.ndarray], levels: Levels) -> Read:
    """Return what reads photos with these ranges."""
    return functools.partial(read, levels=levels) if levels else read


def _ahead(files: Iterable[Path], attempt: Callable) -> Iterator:
    from concurrent.futures import Future, ThreadPoolExecutor

    pool = ThreadPoolExecutor(cores())
    waiting: deque[Future] = deque()
    try:
        with _quiet_pillow():
            for file in files:
                waiting.append(pool.submit(attempt, file))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _attempt(read: Read, size: int, file: Path) -> np.ndarray | Exception:
    try:
        return read(file, size)
    except Exception as error:  # Pillow's readers raise OSError, SyntaxError, ValueError and others
        return error


def _kind(file: Path) -> str | None:
    try:
        return undeclared(file)
    except Exception:  # it is named where it is decoded
        return None


def _values(file: Path) -> np.ndarray | None:
    try:
        return sample(file)
    except Exception:
        return None


@contextlib.contextmanager
def _quiet_pillow() -> Iterator[None]:
    # Its warnings name no file, and an image is either good enough to be read or counted as left out.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
