"""How far something is that takes long: a bar on a terminal, elsewhere a line now and then.

Whoever shows a progress of its own hears of both instead: `listening`.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol, Self

from fewshot.machine import size

EVERY = 10.0  # seconds between two lines where there is no terminal


class Listener(Protocol):
    """Shows what is told on the way in its own manner."""

    def say(self, *lines: str) -> None:
        """Tell what is worth knowing."""

    def on_detail(self, text: str) -> None:
        """Tell how far something is."""


class Bar(Protocol):
    """Counts what is done, as `tqdm.tqdm` does; a context. n: how much that is by now."""

    n: int

    def update(self, n: int = 1) -> object:
        """Count so much more."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> object: ...


_listener: Listener | None = None


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let a listener show what this process tells on its way while the block runs."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before


def say(line: str) -> None:
    """Tell what is worth knowing on the way: a line on standard error, unless somebody listens."""
    if _listener is not None:
        _listener.say(line)
    else:
        print(line, file=sys.stderr)


def detail(text: str) -> None:
    """Tell how far something is to whoever listens."""
    if _listener is not None:
        _listener.on_detail(text)


def bar(total: int, title: str, unit: str = "") -> Bar:
    """Return what shows how much of `total` is done, 0 where nobody knows. unit: of bytes, none."""
    if _listener is None and sys.stderr.isatty():
        from tqdm import tqdm

        return tqdm(desc=title, total=total or None, unit=unit or "B", unit_scale=not unit)
    return _Lines(total, title, unit)


class _Lines:
    """A bar that is heard of, or read in a log: nothing of what is done at once."""

    def __init__(self, total: int, title: str, unit: str):
        self.n, self._total, self._title, self._unit = 0, total, title, unit
        self._last = time.monotonic()

    def update(self, n: int = 1) -> None:
        self.n += n
        if _listener is not None:
            _listener.on_detail(str(self))
        elif time.monotonic() - self._last > EVERY:
            self._last = time.monotonic()
            print(self, file=sys.stderr)

    def __str__(self) -> str:
        done, all_of_it = (f"{number:,}" if self._unit else size(number) for number in (self.n, self._total))
        unit = f" {self._unit}s" if self._unit else ""
        return f"{self._title}: {done}{f' of {all_of_it}' if self._total else ''}{unit}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass
