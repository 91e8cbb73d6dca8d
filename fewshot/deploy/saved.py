"""Saved models with their cards: read safely, checked against each other, and run on streams of files.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.data.decoding import decoded, with_levels
from fewshot.data.depth import Levels, checked_levels
from fewshot.data.photo import load_image, load_pixels
from fewshot.deploy.compiled import Forward, compiled
from fewshot.errors import UsageError, field, is_finite
from fewshot.io.digests import sha256_of
from fewshot.stats.conformal import Novelty, PredictionSets
from fewshot.wording import one_line

if TYPE_CHECKING:
    import keras

FORMAT = 2  # of the card


@dataclass(frozen=True)
class Look:
    """What a model says of one photo.

    probabilities: calibrated, (classes,). novel: whether it is like none of the photos that the model knows;
    None where the model cannot tell. named: of each class whether it is in the prediction set, or None.
    features: what the model sees in it, (D,), or None.
    """

    probabilities: np.ndarray
    novel: bool | None = None
    named: np.ndarray | None = None
    features: np.ndarray | None = None


@dataclass(frozen=True)
class Similar:
    """A photo that the model was trained on. cosine: how similar another is to it, 1 at most."""

    file: Path
    label: str
    cosine: float


@dataclass(frozen=True)
class Saved:
    """A model file, its card, and the compiled forward pass."""

    path: Path
    card: dict[str, Any]
    forward: Forward

    @functools.cached_property
    def model(self) -> keras.Model:
        """The model itself, for more than its answers."""
        return read(self.path)

    @property
    def classes(self) -> list[str]:
        return self.card["classes"]

    @property
    def image_size(self) -> int | None:
        """Pixels of the squares that the model takes; None where it takes photos as they are."""
        return self.card["image_size"]

    @property
    def levels(self) -> Levels:
        """The ranges that photos of more than 8 bits were scaled from for training."""
        return self.card.get("levels") or {}

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, float32 (N, classes), of images (N, height, width, 3), 0–255."""
        return self.forward(x.astype(np.float32))[0]

    def look(self, x: np.ndarray) -> list[Look]:
        """Return all that the model says of images (N, height, width, 3), 0–255."""
        probabilities, *embedding = self.forward(x.astype(np.float32))
        novel = self._novelty.refused(embedding[0]).tolist() if embedding and self._novelty else None
        named = self._sets.of(probabilities) if self._sets else None
        return [
            Look(
                row,
                None if novel is None else novel[i],
                None if named is None else named[i],
                embedding[0][i] if embedding else None,
            )
            for i, row in enumerate(probabilities)
        ]

    @property
    def coverage(self) -> float | None:
        """For which share of photos the right class is among those named; None where one alone is named."""
        return self._sets.coverage if self._sets else None

    @property
    def tells_unknown(self) -> bool:
        """Whether the model can tell what is of none of its classes."""
        return self._novelty is not None

    @property
    def refused(self) -> float | None:
        """Which share of photos of the known classes it calls none of these; None where that is not known."""
        return self._novelty.share if self._novelty else None

    def similar(self, look: Look) -> list[Similar]:
        """Return the most similar training photos; none where the card names no photos."""
        named = self.card.get("references")
        if not named or look.features is None or self._novelty is None:
            return []
        return [
            Similar(Path(named["files"][i]), self.classes[named["labels"][i]], float(cosine))
            for i, cosine in zip(*self._novelty.nearest(look.features), strict=True)
        ]

    def refusing(self, percent: int) -> Saved:
        """Return the same model with another rule for "none of these".

        percent: of photos of the known classes, so many are called so; 0: none is.

        Raises `UsageError` for a model whose card cannot tell, or has no such rule.
        """
        if self._novelty is None:
            raise UsageError(f"{field('unknown')}: this model cannot tell what is of none of its classes")
        try:
            rule = self._novelty.refusing(percent / 100)
        except ValueError:
            known = ", ".join(str(round(100 * share)) for share in sorted({0, *self._novelty.others}))
            raise UsageError(f"{field('unknown', percent)}: its card has the rules {known}") from None
        return replace(self, card={**self.card, "novelty": rule.to_json()})

    @functools.cached_property
    def _novelty(self) -> Novelty | None:
        return Novelty.from_json(self.card["novelty"]) if self.card.get("novelty") else None

    @functools.cached_property
    def _sets(self) -> PredictionSets | None:
        return PredictionSets.from_json(self.card["sets"]) if self.card.get("sets") else None

    def stream(self, files: Iterable[Path], batch: int = 32) -> Iterator[tuple[Path, Look | Exception]]:
        """Yield each file with what the model says of it, or why it says nothing, in the order of the files.

        Files are decoded as `fewshot.data.folder` decodes them for training, by threads, while the model
        runs; no more are in memory than these threads may be ahead, and a batch. Photos that the model takes
        as they are go one by one: each has a size of its own.
        """
        files, ahead = itertools.tee(files)
        if self.image_size is None:
            read = with_levels(load_pixels, self.levels)
            for file, photo in zip(files, decoded(ahead, self.card["view_size"], read), strict=False):
                yield file, photo if isinstance(photo, Exception) else self.look(photo[None])[0]
            return
        images = decoded(ahead, self.image_size, with_levels(load_image, self.levels))
        while part := list(zip(itertools.islice(files, batch), images, strict=False)):
            pixels = [image for _, image in part if not isinstance(image, Exception)]
            rows = iter(self.look(np.stack(pixels)) if pixels else ())
            for file, image in part:
                yield file, image if isinstance(image, Exception) else next(rows)


def load(path: str | os.PathLike) -> Saved:
    """Return a saved model; `UsageError` where it, or the card beside it, is missing, foreign or unsafe."""
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no such model: {path}")
    if path.suffix != ".keras":
        raise UsageError(f"{path} is no model of this project: it reads NAME.keras with NAME.json beside it")
    card = _card(card_path(path))
    if card["sha256"] != sha256_of(path):
        raise UsageError(
            f"{card_path(path)} is the card of another model than {path.name}: keep them together"
        )
    forward, *shapes = compiled(card["sha256"], lambda: read(path))
    size, classes = card["image_size"], len(card["classes"])
    if shapes != [(None, size, size, 3), (None, classes)]:
        pixels = f"{size}×{size} pixels" if size else "photos of any size"
        raise UsageError(f"{path} does not do what its card says: {pixels} to {classes} classes")
    return Saved(path, card, forward)


def _fits(make: Callable[[Any], object], value: Any) -> bool:
    """Tell whether what a card says of its photos can be read; it may say nothing."""
    try:
        return value is None or bool(make(value))
    except (ValueError, TypeError, AttributeError):
        return False


def _lists(value: Any, *kinds: type) -> bool:
    """Tell whether what a card says is a list of such things; it may say nothing."""
    return value is None or (isinstance(value, list) and all(type(entry) in kinds for entry in value))


def _names_photos(references: Any, card: dict[str, Any]) -> bool:
    """Tell whether a card names a file and a class for each photo that it compares with."""
    novelty, classes = card["novelty"], card["classes"]
    if not isinstance(references, dict) or novelty is None:
        return False
    files, labels = references.get("files"), references.get("labels")
    return (
        isinstance(files, list)
        and isinstance(labels, list)
        and len(files) == len(labels) == novelty["photos"]
        and all(isinstance(file, str) and "\0" not in file for file in files)
        and all(type(label) is int and 0 <= label < len(classes) for label in labels)
    )


def read(path: Path) -> keras.Model:
    """Return the model in a `.keras` file, whatever card it has; no code of the file is run.

    Raises `UsageError` for what is no such file, or needs code to be run.
    """
    import keras

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever comes up
        raise UsageError(f"cannot read the model {path}: {one_line(error):.300}") from error
    return model


def card_path(path: Path) -> Path:
    """Return where the card of a model stands."""
    return path.with_suffix(".json")


def _card(path: Path) -> dict[str, Any]:
    """Return a card whose fields are what they have to be."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"the model has no card: {path} is missing, and says what its classes are") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read the card {path}: {one_line(error)}") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise UsageError(f"{path} is no card of a model, or of another version of this project")
    checks = {
        "classes": lambda v: isinstance(v, list) and len(v) > 1 and all(isinstance(c, str) for c in v),
        "image_size": lambda v: v is None or (type(v) is int and v > 0),
        "view_size": lambda v: type(v) is int and v > 0,
        "levels": lambda v: _fits(lambda levels: checked_levels(levels) is not None, v),
        "novelty": lambda v: _fits(Novelty.from_json, v),
        "references": lambda v: v is None or _names_photos(v, card),
        "sets": lambda v: _fits(PredictionSets.from_json, v),
        "expected": lambda v: v is None or isinstance(v, dict),
        "recall": lambda v: _lists(v, dict, type(None)),
        "images": lambda v: _lists(v, int),
        "sha256": lambda v: isinstance(v, str),
        "temperature": lambda v: type(v) in (int, float) and v > 0 and is_finite(v),
    }
    for name, fits in checks.items():
        if not fits(card.get(name)):
            raise UsageError(f"the card {path} has no valid '{name}'")
    return card
