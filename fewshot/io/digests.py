"""Digests: what tells one content or one identity from another."""

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
