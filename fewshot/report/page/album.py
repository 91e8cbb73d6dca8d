"""Pictures that lie in a results folder, such as sheets and heat maps, as parts of a page."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from fewshot.report.page.markup import Markup, embedded, tag

PICTURE, ALBUM = 3_000_000, 12_000_000  # bytes: one picture, and all of them
THUMBNAIL, THUMBNAILS = 100_000, 4_000_000  # the same of photos to look at
LOOKS = 1_000_000  # of where the model looks, in all


def album(folder: Path, paths: Iterable[Path]) -> tuple[dict[str, Markup], list[str]]:
    """Return the pictures by their path below `folder`, and the paths of those too large or torn."""
    pictures, skipped, room = {}, [], ALBUM
    for path in paths:
        name = path.relative_to(folder).as_posix()
        content = _content(path, min(PICTURE, room))
        size = _size(content, "PNG")
        if size is None:
            skipped.append(name)
        else:
            room -= len(content)
            source = embedded(content, "png")
            pictures[name] = tag("img", src=source, alt=name, width=size[0], height=size[1])
    return pictures, skipped


def thumbnails(paths: Iterable[Path], room: int | None = None) -> dict[Path, Markup]:
    """Return the photos' thumbnails, those that are whole and for which there is room, in bytes."""
    pictures, room = {}, THUMBNAILS if room is None else room
    for path in paths:
        content = _content(path, min(THUMBNAIL, room))
        if size := _size(content, "JPEG"):
            room -= len(content)
            source = embedded(content, "jpeg")
            pictures[path] = tag("img", src=source, alt="", width=size[0], height=size[1])
    return pictures


def _content(path: Path, limit: int) -> bytes:
    """Return the bytes of a file, or none where it has more than `limit`."""
    try:
        return path.read_bytes() if path.stat().st_size <= limit else b""
    except OSError:
        return b""


def _size(content: bytes, form: str) -> tuple[int, int] | None:
    """Return width and height of a whole picture of this format, or None."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=[form]) as image:
            image.load()
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
