"""Photos of more than 8 bits a colour: which values become 0 and 255.

Eight bits are what cameras and phones write. Microscopes, scanners, raw converters and scientific cameras
write 12 or 16 bits, grey or in colours, as whole numbers or floats, and their values become 0 to 255 by this
rule: from the range that the file declares (the bits that a PNG or a TIFF says it uses, a TIFF's least and
greatest sample); else from the range of the photos that it is of (`Levels`); else all 16 bits are taken as
used, and of whole numbers and floats the range of the photo itself is.
"""

import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fewshot.data.kinds import formats

if TYPE_CHECKING:
    from PIL import Image

SAMPLED = 10_000  # values of a photo that tell its range
PERCENTILES = 0.1, 99.9
SIXTEEN, WHOLE, FLOAT = "16 bits", "whole numbers", "floats"
COLOUR = "16 bits a colour"
TIFF_BITS, TIFF_LEAST, TIFF_GREATEST = 258, (280, 340), (281, 341)  # tags
TIFF_PLANES = 284  # 2: a plane after the other
TURNED = {"B": "L", "L": "B", "N": {"little": "B", "big": "L"}[sys.byteorder]}
# Pillow has no mode for colours of 16 bits and keeps the upper byte of each. How it calls them → how to call
# them so that it keeps the lower one, and which of what it then shows that is, plane by plane.
LOWER: dict[str, tuple[str, Sequence[int]]] = {
    "LA;16B": ("RGBA", (1, 1, 1, 3)),
    **{
        f"{colours};16{order}": (f"{colours};16{other}", range(len(colours)))
        for colours in ("RGB", "RGBA")
        for order, other in TURNED.items()
    },
}

# What is deeper than 8 bits → the values that become 0 and 255.
Levels: TypeAlias = Mapping[str, tuple[float, float]]


def depth(image: "Image.Image") -> str | None:
    """Return what is deeper than 8 bits, as `Levels` calls it; None for usual photos.

    Raises `OSError` for colours of 16 bits each in a plane of its own, which Pillow takes for 8 bits.
    """
    if image.mode == "F":
        return FLOAT
    if image.mode.startswith("I"):
        # Pillow before version 11 has PNG's 16 bits, and still has PGM's, in 32.
        return SIXTEEN if image.mode != "I" or image.format in ("PNG", "PPM") else WHOLE
    tags = getattr(image, "tag_v2", {})
    if tags.get(TIFF_PLANES) == 2 and (_tag(tags, (TIFF_BITS,)) or 8) > 8:
        raise OSError("16 bits a colour in separate planes are not read: save it with colours interleaved")
    return COLOUR if _form(image) in LOWER else None


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
        return _some(image, path)


def value_range(values: np.ndarray) -> tuple[float, float]:
    """Return the percentiles between which values are spread over 0 to 255."""
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, PERCENTILES)
    return (float(low), float(high)) if high > low else (float(min(0, low)), float(max(low, 1.0)))


def limits_of(image: "Image.Image", path: Path, levels: Levels) -> tuple[float, float] | None:
    """Return the values of a deep photo that become 0 and 255; None for usual photos."""
    kind = depth(image)
    if kind is None:
        return None
    if limits := _declared(image, path) or levels.get(kind):
        return limits
    return (0.0, 65535.0) if kind in (SIXTEEN, COLOUR) else value_range(_some(image, path))


def eight_bits(path: Path, limits: tuple[float, float]) -> "Image.Image":
    """Return a deep photo, upright, with these values as 0 and 255; how transparent it is stays as it is."""
    from PIL import Image

    low, high = limits
    with Image.open(path, formats=formats()) as image:
        values = _values(image, path)
    alpha = values[..., 3:] >> 8 if values.shape[2:] == (4,) else None
    if alpha is not None:
        values = values[..., :3]
    # Of whole numbers of 16 bits, each is scaled once: as floats, 24 megapixels of colours take 600 MB.
    known = np.arange(1 << 16) if values.dtype == np.uint16 else values
    finite = np.nan_to_num(known.astype(np.float64), nan=low, posinf=high, neginf=low)
    scaled = np.rint((finite - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    shown = scaled[values] if values.dtype == np.uint16 else scaled
    return Image.fromarray(shown if alpha is None else np.concatenate([shown, alpha.astype(np.uint8)], 2))


def _values(image: "Image.Image", path: Path) -> np.ndarray:
    """Return the values of a deep photo, not read yet, upright: (height, width), and 3 or 4 of colours."""
    from PIL import Image, ImageOps

    form = _form(image)
    upper = np.asarray(ImageOps.exif_transpose(image))
    if form not in LOWER:
        return upper
    other, planes = LOWER[form]
    with Image.open(path, formats=formats()) as again:
        again.tile = [_renamed(tile, other) for tile in again.tile]
        lower = np.asarray(ImageOps.exif_transpose(again))
    return upper.astype(np.uint16) << 8 | lower[..., list(planes)]


def _form(image: "Image.Image") -> str:
    """Return how Pillow calls what a file holds, such as "RGB;16B"; "" once it has been read."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    form = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return form if isinstance(form, str) else ""


def _renamed(tile: Any, form: str) -> Any:
    """Return a part of a file, a tuple or in newer versions a named one, with its values in another form."""
    arguments = (form, *tile[3][1:]) if isinstance(tile[3], tuple) else form
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)


def _some(image: "Image.Image", path: Path) -> np.ndarray:
    """Return some finite values, spread over a photo; how transparent it is does not count."""
    values = _values(image, path)
    values = (values[..., :3] if values.ndim == 3 else values).ravel()
    values = values[:: -(-len(values) // SAMPLED)].astype(np.float64)
    return values[np.isfinite(values)]


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
