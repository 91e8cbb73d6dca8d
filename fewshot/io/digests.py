"""Digests: what tells one content or one identity from another."""

import hashlib
import json


def key_of(identity: dict) -> str:
    """Return the key of everything that determines a result: 16 hex digits of its canonical JSON."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
