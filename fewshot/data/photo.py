"""One photo from its file: RGB, upright, on white, 8 bits a colour, whatever wrote it.

Eight bits are what cameras and phones write. Microscopes, scanners and scientific cameras write grey of 12 or
16 bits, whole numbers or floats, and their values become 0 to 255 by this rule: from the range that the file
declares (the bits that a PNG or a TIFF says it uses, a TIFF's least and greatest sample); else from the range
of the photos that it is of (`Levels`); else all 16 bits are taken as used, and of whole numbers and floats
the range of the photo itself is.
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fewshot.data.kinds import formats
from fewshot.data.views import views

if TYPE_CHECKING:
    from PIL import Image

SAMPLED = 10_000  # values of a photo that tell its range
PERCENTILES = 0.1, 99.9
SIXTEEN, WHOLE, FLOAT = "16 bits", "whole numbers", "floats"
TIFF_BITS, TIFF_LEAST, TIFF_GREATEST = 258, (280, 340), (281, 341)  # tags

# What is deeper than 8 bits → the values that become 0 and 255.
Levels: TypeAlias = Mapping[str, tuple[float, float]]


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


def read_photo(path: Path, size: int, levels: Levels | None = None) -> "Image.Image":
    """Return one image file as RGB: upright, on white, its short side at least twice `size` if it was so.

    Far larger ones are shrunk as they are decoded: twice the size that is needed leaves the rest to the
    better filter. Raises as `load_image` does.
    """
    from PIL import Image, ImageOps

    with Image.open(path, formats=formats()) as file:
        # A JPEG decodes to half, a quarter or an eighth in a fraction of the time.
        file.draft(None, (2 * size, 2 * size))
        limits = _limits(file, path, levels or {})
        image = ImageOps.exif_transpose(file)
        image = _to_rgb(image if limits is None else _eight_bits(image, *limits))
    factor = min(image.size) // (2 * size)
    return image.reduce(factor) if factor > 1 else image


def square(image: "Image.Image", size: int) -> np.ndarray:
    """Return a Pillow image as an array, size×size: the short side fitted, the centre cut."""
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS))


def depth(image: "Image.Image") -> str | None:
    """Return what is deeper than 8 bits, as `Levels` calls it; None for usual photos."""
    if image.mode == "F":
        return FLOAT
    if image.mode.startswith("I"):
        # Pillow before version 11 has PNG's 16 bits, and still has PGM's, in 32.
        return SIXTEEN if image.mode != "I" or image.format in ("PNG", "PPM") else WHOLE
    return None


def undeclared(path: Path) -> str | None:
    """Return what is deeper than 8 bits in a file that does not declare its range; None for usual photos."""
    from PIL import Image

    with Image.open(path, formats=formats()) as image:
        kind = depth(image)
        return kind if kind and _declared(image, path) is None else None


def sample(path: Path) -> np.ndarray:
    """Return some finite values of a deep photo, spread over it."""
    from PIL import Image

    with Image.open(path, formats=formats()) as image:
        return _some(image)


def value_range(values: np.ndarray) -> tuple[float, float]:
    """Return the percentiles between which values are spread over 0 to 255."""
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, PERCENTILES)
    return (float(low), float(high)) if high > low else (float(min(0, low)), float(max(low, 1.0)))


def _limits(image: "Image.Image", path: Path, levels: Levels) -> tuple[float, float] | None:
    """Return the values of a deep photo that become 0 and 255; None for usual photos."""
    kind = depth(image)
    if kind is None:
        return None
    if limits := _declared(image, path) or levels.get(kind):
        return limits
    return (0.0, 65535.0) if kind == SIXTEEN else value_range(_some(image))


def _some(image: "Image.Image") -> np.ndarray:
    """Return some finite values of a deep photo, spread over it."""
    values = np.asarray(image).ravel()
    values = values[:: -(-len(values) // SAMPLED)].astype(np.float64)
    return values[np.isfinite(values)]


def _eight_bits(image: "Image.Image", low: float, high: float) -> "Image.Image":
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, np.float64), nan=low, posinf=high, neginf=low)
    return Image.fromarray(np.rint((values - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8))


def _declared(image: "Image.Image", path: Path) -> tuple[float, float] | None:
    """Return the range of values that a file says it uses; None where it only says how they are stored."""
    if image.format == "PPM":
        return 0.0, 65535.0  # Pillow stretches to it what the file says
    if image.format == "PNG":
        significant = _png_bits(path)
        return (0.0, 2.0**significant - 1) if significant else None
    tags = getattr(image, "tag_v2", {})
    least, greatest = (_tag(tags, names) for names in (TIFF_LEAST, TIFF_GREATEST))
    if greatest is not None and greatest > (least or 0.0):
        return least or 0.0, greatest
    bits = _tag(tags, (TIFF_BITS,))
    return (0.0, 2.0**bits - 1) if bits and 8 < bits < 16 else None


def _tag(tags: Mapping, names: tuple[int, ...]) -> float | None:
    values = [np.ravel(tags[name])[0] for name in names if name in tags]
    return float(values[0]) if values and np.isfinite(float(values[0])) else None


def _png_bits(path: Path) -> int | None:
    """Return how many bits a PNG says are significant, in its chunk sBIT, where they are fewer than 16."""
    with open(path, "rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"sBIT":
                bits = file.read(1)
                return bits[0] if bits and 8 < bits[0] < 16 else None
            if kind in (b"IDAT", b"IEND"):
                break
            file.seek(length + 4, 1)
    return None


def _to_rgb(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")
