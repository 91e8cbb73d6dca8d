"""One photo from its file: RGB, upright, on white, 8 bits a colour, whatever wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewshot.data.depth import Levels, eight_bits, limits_of
from fewshot.data.kinds import formats
from fewshot.data.views import views

if TYPE_CHECKING:
    from PIL import Image


def load_image(path: Path, size: int, levels: Levels | None = None) -> np.ndarray:
    """Return one image file as uint8, sizexsizex3: upright, on white, the short side fitted, the centre cut.

    levels: of photos with more than 8 bits, the range to scale from where the file declares none.

    Raises whatever Pillow raises for a file that is no image, is cut off or is absurdly large.
    """
    return square(read_photo(path, size, levels), size)


def load_views(path: Path, size: int, levels: Levels | None = None) -> np.ndarray:
    """Return one image file in all its views, uint8 (V, size, size, 3); raises as `load_image` does."""
    return views(read_photo(path, size, levels), size)


def load_pixels(path: Path, size: int, levels: Levels | None = None) -> np.ndarray:
    """Return a photo as it is decoded for views of `size` pixels, uint8 (height, width, 3)."""
    return np.asarray(read_photo(path, size, levels))


def read_photo(path: Path, size: int, levels: Levels | None = None) -> Image.Image:
    """Return one image file as RGB: upright, on white, its short side at least twice `size` if it was so.

    Far larger ones are shrunk as they are decoded: twice the size that is needed leaves the rest to the
    better filter. Raises as `load_image` does.
    """
    from PIL import Image, ImageOps

    with Image.open(path, formats=formats()) as file:
        # A JPEG decodes to half, a quarter or an eighth in a fraction of the time.
        file.draft(None, (2 * size, 2 * size))
        limits = limits_of(file, path, levels or {})
        image = _to_rgb(ImageOps.exif_transpose(file) if limits is None else eight_bits(path, limits))
    factor = min(image.size) // (2 * size)
    return image.reduce(factor) if factor > 1 else image


def square(image: Image.Image, size: int) -> np.ndarray:
    """Return a Pillow image as an array, size×size: the short side fitted, the centre cut."""
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS))


def _to_rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")
