"""Photos in all their views that stay on disk until they are looked at.

In all views 2,000 photos take 1.5 GB. A task's photos are therefore the stored array and their positions in
it: of one view, one photo after the other, they take next to nothing.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# What is stored, and how it is digested → position → digest.
_digests: dict[tuple, dict[int, bytes]] = {}


class StoredViews:
    """Chosen photos of a stored array, read-only: all views, (n, V, S, S, 3), or one, (n, S, S, 3).

    It is indexed as an array is. `photos[:, view]` is one view of all, not read yet; everything else is read
    into memory, and so does `numpy.asarray`.

    stored: uint8 (N, V, S, S, 3), a memory map. index: (n,), positions in it. view: of which only, or None.
    """

    def __init__(self, stored: np.ndarray, index: np.ndarray, view: int | None = None):
        self.stored, self.index, self.view = stored, np.asarray(index), view

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.index), *self.stored.shape[1 if self.view is None else 2 :])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        return self.stored.dtype

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._read(position) for position in self.index)

    def __getitem__(self, key: Any) -> Any:
        first, *rest = key if isinstance(key, tuple) else (key,)
        chosen = self.index[first]
        whole = isinstance(first, slice) and first == slice(None)
        if whole and self.view is None and len(rest) == 1 and isinstance(rest[0], int | np.integer):
            return StoredViews(self.stored, chosen, range(self.stored.shape[1])[rest[0]])
        read = self._read(chosen)
        return read[(slice(None),) * np.ndim(chosen) + tuple(rest)] if rest else read

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("photos on disk become an array by a copy only")
        return np.asarray(self._read(self.index), dtype)

    def take(self, index: np.ndarray) -> StoredViews:
        """Return the photos at `index`, in that order, not read yet."""
        return StoredViews(self.stored, self.index[index], self.view)

    def digests(self, digest: Callable[[np.ndarray], bytes]) -> list[bytes]:
        """Return `digest(photo)` of each photo, computed once a process while the file stays the same."""
        place = _place(self.stored)
        if place is None:
            return [digest(photo) for photo in self]
        known = _digests.setdefault((*place, self.view, digest), {})
        for position in self.index.tolist():
            if position not in known:
                known[position] = digest(self._read(position))
        return [known[position] for position in self.index.tolist()]

    def _read(self, positions: Any) -> np.ndarray:
        return np.array(self.stored[positions] if self.view is None else self.stored[positions, self.view])


def _place(stored: np.ndarray) -> tuple | None:
    """Return what changes when other photos are stored; None for what is no whole file."""
    if not isinstance(stored, np.memmap) or not isinstance(stored.base, mmap.mmap) or not stored.filename:
        return None
    state = os.stat(stored.filename)
    return str(stored.filename), state.st_ino, state.st_mtime_ns, state.st_size


def together(x: Any, other: Any) -> Any:
    """Return some photos and others, arrays or `StoredViews`; those of one file stay on disk."""
    views = isinstance(x, StoredViews) and isinstance(other, StoredViews)
    if views and x.stored is other.stored and x.view == other.view:
        return StoredViews(x.stored, np.concatenate([x.index, other.index]), x.view)
    return np.concatenate([np.asarray(x), np.asarray(other)])
