"""Pictures that lie in a results folder, such as sheets and heat maps, as parts of a page."""

import base64
import io
from collections.abc import Iterable
from pathlib import Path

from fewshot.report.page.markup import Markup, tag

PICTURE, ALBUM = 3_000_000, 12_000_000  # bytes: one picture, and all of them


def album(folder: Path, paths: Iterable[Path]) -> tuple[dict[str, Markup], list[str]]:
    """Return the pictures by their path below `folder`, and the paths of those too large or torn."""
    pictures, skipped, room = {}, [], ALBUM
    for path in paths:
        name = path.relative_to(folder).as_posix()
        content = _content(path, min(PICTURE, room))
        size = _size(content)
        if size is None:
            skipped.append(name)
        else:
            room -= len(content)
            source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
            pictures[name] = tag("img", src=source, alt=name, width=size[0], height=size[1])
    return pictures, skipped


def _content(path: Path, limit: int) -> bytes:
    """Return the bytes of a file, or none where it has more than `limit`."""
    try:
        return path.read_bytes() if path.stat().st_size <= limit else b""
    except OSError:
        return b""


def _size(content: bytes) -> tuple[int, int] | None:
    """Return width and height of a whole PNG, or None."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.load()
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
