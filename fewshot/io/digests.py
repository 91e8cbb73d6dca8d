"""Digests: what tells one content or one identity from another."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path


def key_of(identity: dict) -> str:
    """Return the key of everything that determines a result: 16 hex digits of its canonical JSON."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hex digits. Raises `OSError`."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_once(path: str | Path) -> str:
    """Return the same, computed once as long as the file's size and time of change stay. Raises `OSError`."""
    status = Path(path).stat()
    return _sha256_of(Path(path), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _sha256_of(path: Path, size: int, changed: int) -> str:
    return sha256_of(path)
