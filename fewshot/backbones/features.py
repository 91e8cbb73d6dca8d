"""Features of frozen backbones: computed once an image, kept on disk, shared by all that ask.

`efficientnet-lite0@160+resnet50` names the features of two backbones side by side, the first looking at
images in 160×160 pixels; `:weights=random` or `:weights=FILE` uses other weights than ImageNet's, and
`:pool=mean`, of backbones of KerasHub, another way of pooling than the family's own. The store
is one SQLite file for each backbone, size and weights: image content → features. Features are rounded to
half precision before anyone sees them, so that a result does not depend on what was in the store.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewshot import backend, settings
from fewshot.backbones import backbones, check, digest, licence, load, milliseconds, to_fetch
from fewshot.backbones.hub import POOLS, is_hub
from fewshot.data.stored import StoredViews
from fewshot.errors import FewshotError, UsageError, field
from fewshot.io.cache import cache_dir, set_aside
from fewshot.seeding import seed_globally
from fewshot.wording import plural

if TYPE_CHECKING:
    from fewshot.backbones.weights import WeightFile

PIXELS = "pixels"  # no backbone: images as they are
VERSION = 2  # raise it when features change
BATCH = 48  # always, and a multiple of what processors multiply at once: no sum depends on its place
LIMIT = 8e9  # bytes of the store; beyond, the files that were used least recently go …
RESTS = 3600  # … but none that a worker may have open: used within so many seconds
ASKED = 500  # keys a query


@dataclass(frozen=True)
class Term:
    """One backbone, the size in which it looks at images, and its weights: None, "random" or a file.

    pool: how its features are pooled, where it can be pooled in several ways; "" for its own.
    """

    backbone: str
    size: int
    weights: str | None
    pool: str = ""

    def __str__(self) -> str:
        """Return the text that `parse` reads as this."""
        given = {"weights": self.weights, "pool": self.pool}
        return settings.join(
            f"{self.backbone}@{self.size}", {key: value for key, value in given.items() if value}
        )

    def describe(self) -> dict:
        """Return all that determines the features beside the image."""
        if is_hub(self.backbone):  # whose files say all, wherever they lie and whatever they are called
            named, libraries = {"backbone": "hub", "pool": self.pool}, ("keras", "keras-hub")
        else:
            named, libraries = {"backbone": self.backbone}, ("keras",)
        return {
            **named,
            "size": self.size,
            "weights": digest(self.backbone, self.weights),
            "version": [VERSION, _version(self)],
            "libraries": backend.versions(*libraries, backend.name()),
        }

    def provenance(self) -> dict:
        """Return where the weights come from, for the card of a model."""
        return {
            "name": self.backbone,
            "size": self.size,
            "weights": digest(self.backbone, self.weights),
            "licence": licence(self.backbone, self.weights) or None,
        }


def parse(text: str) -> tuple[Term, ...]:
    """Return the terms of `text`; `UsageError` for an unknown backbone or a size it does not take."""
    names, given = settings.split(text)
    given = settings.typed("features", given, {"weights": "", "pool": ""}, {"pool": POOLS})
    weights, pool = given.get("weights"), given.get("pool", "")
    if weights and weights != "random":
        weights = str(Path(weights).expanduser())
    terms = []
    for part in names.split("+"):
        name, at, size = part.partition("@")
        if at and not size.isdecimal():
            raise UsageError(f"'{part}': a size is written {name}@{check(name)}")
        pooled = pool if is_hub(name) else ""
        terms.append(Term(name, check(name, int(size) if at else None, pooled), weights, pooled))
    if pool and not any(term.pool for term in terms):
        raise UsageError(f"'{text}': pool is for backbones of KerasHub, such as hub/dinov2-small")
    return tuple(terms)


def describe(text: str) -> object:
    """Return all that determines the features beside the images, as JSON."""
    return text if text == PIXELS else [term.describe() for term in parse(text)]


def extract(text: str, x: np.ndarray, keep: bool = True) -> np.ndarray:
    """Return the features, float32 (N, D), of uint8 images; what the store lacks is computed and kept.

    keep: False for images that never come again: the store is left alone.
    Needs `fewshot.backend.start` before.
    """
    read = _extract if keep else _compute
    return np.concatenate([read(term, x) for term in parse(text)], axis=1, dtype=np.float32)


def seconds(text: str, images: int) -> float:
    """Return the seconds on one core that the features of so many images take, roughly."""
    return images * sum(1e-3 * milliseconds(term.backbone) * (term.size / 224) ** 2 for term in parse(text))


def missing_seconds(text: str, x: np.ndarray, setting: tuple[int, str]) -> float:
    """Return the seconds on one core, roughly, of those features that the store lacks.

    Parameters
    ----------
    text, x
        Names and images, as for `extract`.
    setting
        Threads and device of who computes, as `fewshot.backend.started` returns them.
    """
    keys = keys_of(x)
    return sum(seconds(str(term), len(keys) - _count_stored(term, keys, setting)) for term in parse(text))


def _count_stored(term: Term, keys: list[bytes], setting: tuple[int, str]) -> int:
    path = _path(term, setting)
    try:
        if not path.exists():
            return 0
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as store:
            there = {key for key, _ in _stored(store, keys)}
    except (sqlite3.Error, OSError):  # who computes says what is wrong with it
        return 0
    return sum(key in there for key in keys)


def files_to_fetch(text: str) -> list[WeightFile]:
    """Return the files of weights that features need and that are not here yet."""
    files = (to_fetch(term.backbone, term.weights) for term in parse(text))
    return [file for file in files if file is not None]


def clear() -> None:
    """Delete all features."""
    shutil.rmtree(_folder(), ignore_errors=True)


def _extract(term: Term, x: np.ndarray, again: bool = False) -> np.ndarray:
    """Return the features, from the store as far as it has them. again: the store has just been set aside."""
    keys = keys_of(x)
    path = _path(term, backend.started())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path, timeout=120)) as store:
            store.execute(
                "CREATE TABLE IF NOT EXISTS features (image BLOB PRIMARY KEY, row BLOB) WITHOUT ROWID"
            )
            rows = _valid(dict(_stored(store, keys)), term, x, path)
            missing = {key: i for i, key in enumerate(keys) if key not in rows}
            for computed in _computed(term, x, missing):
                rows |= computed
                with store:
                    store.executemany("INSERT OR REPLACE INTO features VALUES (?, ?)", computed.items())
        path.touch()  # the time of its last use
        if missing:
            _evict()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) or again:
            raise _unusable(path, error) from error
        set_aside(path, f"{path} is no store of features ({error})")
        return _extract(term, x, again=True)
    except OSError as error:
        raise _unusable(path, error) from error
    return np.stack([np.frombuffer(rows[key], np.float16) for key in keys])


def _unusable(path: Path, error: Exception) -> FewshotError:
    return FewshotError(
        f"cannot use the features in {path} ({error}): make room there, choose another place with "
        f"{field('cache_dir', 'DIR')}, or delete that file"
    )


def _valid(rows: dict[bytes, object], term: Term, x: np.ndarray, path: Path) -> dict[bytes, bytes]:
    """Return those rows that are features: the others are named, and computed anew."""
    valid = {key: row for key, row in rows.items() if isinstance(row, bytes) and _are_numbers(row)}
    if len({len(row) for row in valid.values()}) > 1:  # the network tells how long they are
        length = 2 * network(term, x.shape[1:]).output_shape[-1]
        valid = {key: row for key, row in valid.items() if len(row) == length}
    if odd := len(rows) - len(valid):
        print(f"{path}: {plural(odd, 'row')} without features, computed anew", file=sys.stderr)
    return valid


def _are_numbers(row: bytes) -> bool:
    return len(row) > 0 and len(row) % 2 == 0 and bool(np.isfinite(np.frombuffer(row, np.float16)).all())


def keys_of(x: np.ndarray) -> list[bytes]:
    """Return what the store knows images by: equal ones have equal keys. Stored photos are read only once."""
    return x.digests(_key) if isinstance(x, StoredViews) else [_key(image) for image in x]


def _key(image: np.ndarray) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16, salt=b"%d" % image.shape[1]).digest()


def _compute(term: Term, x: np.ndarray) -> np.ndarray:
    computed = {
        key: row for part in _computed(term, x, {i: i for i in range(len(x))}) for key, row in part.items()
    }
    return np.stack([np.frombuffer(computed[i], np.float16) for i in range(len(x))])


def _computed(term: Term, x: np.ndarray, missing: dict[bytes, int]) -> Iterator[dict[bytes, bytes]]:
    """Yield key → features, a batch after the other; the last one is filled up with zeros."""
    keys = list(missing)
    for start in range(0, len(keys), BATCH):
        part = keys[start : start + BATCH]
        images = np.zeros((BATCH, *x.shape[1:]), np.float32)
        images[: len(part)] = x[[missing[key] for key in part]]
        rows = _forward(term, _version(term), x.shape[1:])(images)[: len(part)].astype(np.float16)
        if not np.isfinite(rows).all():
            raise FewshotError(f"the features of {term.backbone} are not finite: are these its weights?")
        yield {key: row.tobytes() for key, row in zip(part, rows, strict=True)}


def network(term: Term, shape: tuple[int, int, int]):
    """Return a term's backbone, a `keras.Model` from raw pixels to features before they are rounded."""
    seed_globally(0)  # decides random weights
    return load(term.backbone, term.weights, shape, size=term.size, pool=term.pool)


def _version(term: Term) -> object:
    """Return the version of what a term stands for: of the code that a user may register anew, or of a folder
    of KerasHub's as it is now; others have none.
    """
    if is_hub(term.backbone):
        return digest(term.backbone, term.weights)
    return backbones[term.backbone].version if term.backbone in backbones else None


@functools.lru_cache(maxsize=4)
def _forward(term: Term, version: object, shape: tuple[int, int, int]):
    with backend.setting_up():
        return backend.compile_forward(network(term, shape))


def _stored(store: sqlite3.Connection, keys: list[bytes]) -> Iterable[tuple[bytes, object]]:
    for start in range(0, len(keys), ASKED):
        part = keys[start : start + ASKED]
        marks = ",".join("?" * len(part))
        yield from store.execute(f"SELECT image, row FROM features WHERE image IN ({marks})", part)


def _evict() -> None:
    """Delete the files used least recently, until the store is within its limit."""
    stored = []
    for path in _folder().glob("*.sqlite"):
        with contextlib.suppress(FileNotFoundError):  # another worker evicts, too
            stored.append((path.stat().st_mtime, path.stat().st_size, path))
    total = sum(size for _, size, _ in stored)
    for used, size, path in sorted(stored):
        if total > LIMIT and time.time() - used > RESTS:
            total -= size
            path.unlink(missing_ok=True)


def _folder() -> Path:
    return cache_dir() / "features"


def _path(term: Term, setting: tuple[int, str] | None) -> Path:
    return _folder() / f"{_name(term, _version(term), setting)}.sqlite"


@functools.cache  # it may have to read a whole weight file
def _name(term: Term, version: object, setting: tuple[int, str] | None) -> str:
    # Sums depend on threads and device, too.
    whole = json.dumps([term.describe(), setting], sort_keys=True)
    identity = hashlib.sha256(whole.encode()).hexdigest()[:12]
    name = "hub" if is_hub(term.backbone) else term.backbone.replace("/", "-")
    return f"{name}-{term.size}-{identity}"
