"""Where a comparison's pictures, document and model go: a folder of its own for each folder of photos."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fewshot.data import Prepared
from fewshot.data.sources import read_meta
from fewshot.errors import field
from fewshot.io.files import slug
from fewshot.wording import readable

DOCUMENT, MODEL = "comparison.json", "model.keras"


@dataclass(frozen=True)
class Place:
    """A folder, and where its images are from.

    earlier: of a comparison of the same images that lies there, the method of its model; None without a
    comparison, "" for one without a model.
    """

    folder: Path
    source: str
    earlier: str | None = None

    @property
    def notes(self) -> list[str]:
        """What will be replaced here, and how to keep it, in a line."""
        if self.earlier is None:
            return []
        model = f", with its model of {self.earlier}" if self.earlier else ""
        return [
            f"{self.folder} holds an earlier comparison of it{model}: the new one takes its place, recorded "
            f"trials are kept; to keep both: {field('out', 'DIR')}"
        ]

    def replaced(self, model: Mapping[str, str] | None) -> list[str]:
        """Return what has become of an earlier model, in a line. model: what was saved now, if anything."""
        if not self.earlier:
            return []
        if model is None:
            return [f"{self.folder / MODEL} is still the earlier comparison's, {self.earlier}"]
        new = "one trained anew" if model["method"] == self.earlier else f"that of {model['method']}"
        keep = f"to keep both next time: {field('out', 'DIR')}"
        return [f"the earlier model, {self.earlier}, is replaced by {new}; {keep}"]

    def clear(self, names: set[str]) -> None:
        """Delete the pictures of an earlier comparison: those that would stay beside the new ones."""
        for name in names:
            for suffix in (".png", ".svg"):
                (self.folder / f"{name}{suffix}").unlink(missing_ok=True)


def place_of(out: Path, images: Prepared) -> Place:
    """Return where a comparison of these images is kept: `out/compare/NAME`.

    Another folder of the same name gets a number, so that nothing of one takes the place of the other's.
    """
    source = images.source or read_meta(images.folder)["source"]
    name = slug(images.name) or "images"
    number = 1
    while True:
        folder = out / "compare" / (name if number == 1 else f"{name}-{number}")
        earlier = _source_of(folder / DOCUMENT)
        if earlier is None:
            return Place(folder, source)
        if earlier == source:
            return Place(folder, source, _model_in(folder))
        number += 1


def _model_in(folder: Path) -> str:
    """Return the method of the model that an earlier comparison saved; "" without one."""
    try:
        card = json.loads((folder / MODEL).with_suffix(".json").read_text(encoding="utf-8"))
        return readable(card["method"]) if (folder / MODEL).exists() else ""
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _source_of(path: Path) -> str | None:
    """Return which images an earlier document is about; None without one, "" where it cannot be read."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["source"])
    except OSError:
        # A folder that cannot be made, as its place is a file's, is told of where it is written to.
        return "" if os.path.exists(path) else None
    except (ValueError, TypeError, KeyError):
        return ""
