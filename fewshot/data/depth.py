"""Photos of more than 8 bits a colour: which values become 0 and 255.

Eight bits are what cameras and phones write. Microscopes, scanners, raw converters and scientific cameras
write 12 or 16 bits, grey or in colours, as whole numbers or floats, and their values become 0 to 255 by this
rule: from the range that the file declares (the bits that a PNG or a TIFF says it uses, a TIFF's least and
greatest sample); else from the range of the photos that it is of (`Levels`); else all 16 bits are taken as
used, and of whole numbers and floats the range of the photo itself is.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fewshot.data.kinds import formats
from fewshot.errors import is_finite

if TYPE_CHECKING:
    from PIL import Image

SAMPLED = 10_000  # values of a photo that tell its range
PERCENTILES = 0.1, 99.9
SIXTEEN, WHOLE, FLOAT = "16 bits", "whole numbers", "floats"
COLOUR = "16 bits a colour"
TIFF_BITS, TIFF_LEAST, TIFF_GREATEST = 258, (280, 340), (281, 341)  # tags
TIFF_PLANES = 284  # 2: a plane after the other
TIFF_SHOWN, WHITE_IS_ZERO = 262, 0
TURNED = {"B": "L", "L": "B", "N": {"little": "B", "big": "L"}[sys.byteorder]}

# What is deeper than 8 bits → the values that become 0 and 255.
Levels: TypeAlias = Mapping[str, tuple[float, float]]


def checked_levels(levels: Any) -> dict[str, tuple[float, float]]:
    """Return ranges as a file holds them.

    Raises `ValueError`, `TypeError` or `AttributeError` for what are none, such as one without an end.
    """
    known = {}
    for kind, (low, high) in levels.items():
        numbers = all(type(end) in (int, float) and is_finite(end) for end in (low, high))
        if not numbers or not low < high:
            raise ValueError(f"no range: {low!r} to {high!r}")
        known[str(kind)] = float(low), float(high)
    return known


def _of_inks(values: np.ndarray) -> np.ndarray:
    """Return colours (…, 3) of inks (…, 4): cyan, magenta, yellow and black, as Pillow has it of 8 bits."""
    paper = 65535 - values.astype(np.uint32)
    return ((paper[..., :3] * paper[..., 3:] + 32767) // 65535).astype(np.uint16)


def _of_multiplied(values: np.ndarray) -> np.ndarray:
    """Return colours as they are, and how opaque, of those multiplied by how opaque they are, (…, 4)."""
    opaque = values[..., 3:].astype(np.uint32)
    colours = np.minimum(values[..., :3] * np.uint32(65535) // np.maximum(opaque, 1), 65535)
    return np.concatenate([colours.astype(np.uint16), values[..., 3:]], -1)


def _as_they_are(values: np.ndarray) -> np.ndarray:
    return values


@dataclass(frozen=True)
class _Colours:
    """How Pillow is to call colours of 16 bits so that it keeps the upper byte of each, or the lower.

    It has no mode for both. planes: which of those that it shows of the lower bytes are the values'. shown:
    what makes colours of the values, (…, 3), or (…, 4) with how opaque they are.
    """

    upper: str
    lower: str
    planes: Sequence[int]
    shown: Callable[[np.ndarray], np.ndarray] = _as_they_are


# What a file holds, as Pillow calls it → how to read it.
COLOURS = {
    "LA;16B": _Colours("LA;16B", "RGBA", (1, 1, 1, 3)),
    **{
        f"{name};16{order}": _Colours(f"{read};16{order}", f"{read};16{other}", range(planes), shown)
        for name, read, planes, shown in (
            ("RGB", "RGB", 3, _as_they_are),
            ("RGBX", "RGBX", 3, _as_they_are),
            ("RGBA", "RGBA", 4, _as_they_are),
            ("RGBa", "RGBA", 4, _of_multiplied),
            ("CMYK", "CMYK", 4, _of_inks),
        )
        for order, other in TURNED.items()
    },
}


def depth(image: Image.Image) -> str | None:
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
    return COLOUR if _form(image) in COLOURS else None


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


def limits_of(image: Image.Image, path: Path, levels: Levels) -> tuple[float, float] | None:
    """Return the values of a deep photo that become 0 and 255, the greater one first of a negative.

    None for usual photos.
    """
    kind = depth(image)
    if kind is None:
        return None
    limits = _declared(image, path) or levels.get(kind)
    if limits is None:
        limits = (0.0, 65535.0) if kind in (SIXTEEN, COLOUR) else value_range(_some(image, path))
    # Pillow turns negatives of 8 bits, and no others.
    return limits[::-1] if _tag(getattr(image, "tag_v2", {}), (TIFF_SHOWN,)) == WHITE_IS_ZERO else limits


def eight_bits(path: Path, limits: tuple[float, float]) -> Image.Image:
    """Return a deep photo, upright, with these values as 0 and 255; how transparent it is stays as it is."""
    from PIL import Image

    dark, bright = limits
    with Image.open(path, formats=formats()) as image:
        values = _values(image, path)
    alpha = values[..., 3:] >> 8 if values.shape[2:] == (4,) else None
    if alpha is not None:
        values = values[..., :3]
    # Of whole numbers of 16 bits, each is scaled once: as floats, 24 megapixels of colours take 600 MB.
    known = np.arange(1 << 16) if values.dtype == np.uint16 else values
    least, most = sorted(limits)
    finite = np.nan_to_num(known.astype(np.float64), nan=dark, posinf=most, neginf=least)
    scaled = np.rint((finite - dark) * (255 / (bright - dark))).clip(0, 255).astype(np.uint8)
    shown = scaled[values] if values.dtype == np.uint16 else scaled
    return Image.fromarray(shown if alpha is None else np.concatenate([shown, alpha.astype(np.uint8)], 2))


def _values(image: Image.Image, path: Path) -> np.ndarray:
    """Return the values of a deep photo, not read yet, upright: (height, width), and 3 or 4 of colours."""
    from PIL import ImageOps

    colours = COLOURS.get(_form(image))
    if colours is None:
        return np.asarray(ImageOps.exif_transpose(image))
    upper, lower = (_called(path, form) for form in (colours.upper, colours.lower))
    lower = lower[..., list(colours.planes)]
    return colours.shown(upper[..., : lower.shape[-1]].astype(np.uint16) << 8 | lower)


def _called(path: Path, form: str) -> np.ndarray:
    """Return what Pillow shows of a file, upright, where it is told that it holds colours of this form."""
    from PIL import Image, ImageOps

    with Image.open(path, formats=formats()) as image:
        image.tile = [_renamed(tile, form) for tile in image.tile]
        return np.asarray(ImageOps.exif_transpose(image))


def _form(image: Image.Image) -> str:
    """Return how Pillow calls what a file holds, such as "RGB;16B"; "" once it has been read."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    form = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return form if isinstance(form, str) else ""


def _renamed(tile: Any, form: str) -> Any:
    """Return a part of a file, a tuple or in newer versions a named one, with its values in another form."""
    arguments = (form, *tile[3][1:]) if isinstance(tile[3], tuple) else form
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)


def _some(image: Image.Image, path: Path) -> np.ndarray:
    """Return some finite values, spread over a photo; how transparent it is does not count."""
    values = _values(image, path)
    values = (values[..., :3] if values.ndim == 3 else values).ravel()
    values = values[:: -(-len(values) // SAMPLED)].astype(np.float64)
    return values[np.isfinite(values)]


def _declared(image: Image.Image, path: Path) -> tuple[float, float] | None:
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
