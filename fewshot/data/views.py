"""Views: the squares of one size in which a photo is looked at, whatever its shape.

    whole    all of it, squashed to a square
    padded   all of it, with its proportions, on a grey square
    centre   the largest square in its middle
    start    the largest square at the left end, or at the top
    end      the largest square at the right end, or at the bottom

Each is resampled from the decoded photo itself by a triangle as wide as a pixel of the result, which is what
Pillow's BILINEAR does and what Keras calls bilinear with antialias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

VIEWS = ("whole", "padded", "centre", "start", "end")
GREY = 120  # around a padded photo: about the mean of ImageNet's pixels, which a backbone takes for nothing
VERSION = 2  # raise it when a view's pixels change


def view(image: Image.Image, name: str, size: int) -> np.ndarray:
    """Return a view of an RGB photo, uint8 (size, size, 3).

    Raises `ValueError` for what is no view.
    """
    from PIL import Image

    width, height = image.size
    if name == "padded":
        side = max(width, height)
        square = Image.new("RGB", (side, side), (GREY, GREY, GREY))
        square.paste(image, ((side - width) // 2, (side - height) // 2))
    elif name == "whole":
        square = image
    else:
        left, top, side = box(width, height, name)
        square = image.crop((left, top, left + side, top + side))
    # Across first: left alone, versions of Pillow differ in what is first, and so in what is rounded.
    across = square.resize((size, square.height), Image.Resampling.BILINEAR)
    return np.asarray(across.resize((size, size), Image.Resampling.BILINEAR))


def box(width: int, height: int, name: str) -> tuple[int, int, int]:
    """Return left, top and side of the square that a view cuts out of a photo."""
    side = min(width, height)
    share = {"start": 0.0, "centre": 0.5, "end": 1.0}
    if name not in share:
        raise ValueError(f"no view: {name}; there are {', '.join(VIEWS)}")
    return int(share[name] * (width - side)), int(share[name] * (height - side)), side


def views(image: Image.Image, size: int) -> np.ndarray:
    """Return all views of an RGB photo in the order of `VIEWS`, uint8 (V, size, size, 3)."""
    return np.stack([view(image, name, size) for name in VIEWS])
