"""Where a comparison's pictures, document and model go: a folder of its own for each folder of photos."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from fewshot.data import Prepared
from fewshot.data.sources import read_meta
from fewshot.io.files import slug

DOCUMENT = "comparison.json"


@dataclass(frozen=True)
class Place:
    """A folder, and where its images are from. notes: what is replaced there, a line each."""

    folder: Path
    source: str
    notes: tuple[str, ...] = ()

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
            return Place(folder, source, (f"{folder} holds an earlier comparison of it, which is replaced",))
        number += 1


def _source_of(path: Path) -> str | None:
    """Return which images an earlier document is about; None without one, "" where it cannot be read."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["source"])
    except OSError:
        # A folder that cannot be made, as its place is a file's, is told of where it is written to.
        return "" if os.path.exists(path) else None
    except (ValueError, TypeError, KeyError):
        return ""
