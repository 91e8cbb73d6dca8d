"""What a file is, by its first bytes: its name may say something else, or nothing.

Pillow reads most kinds of images; HEIC it reads with a package, AVIF from version 11.3 on. Whatever is no
image that can be read has a reason in words, by which such files are counted.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

WANTED = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "HEIF")  # in Pillow's words
HEAD = 512  # bytes that tell
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif", ".hif"),
}
RAW = {".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"}
NOT_READ = "kinds of images that are not read"  # also by any package
HEIC, AVIF = "HEIC, which the package pi-heif reads", "AVIF, which Pillow reads from version 11.3 on"
NO_IMAGE, EMPTY, CUT_OFF, HUGE = "no images", "empty", "cut off", "too large to be decoded safely"

_SIGNS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "BMP": rb"BM.{4}\0\0",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF.{4}WEBP",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "PPM": rb"P[1-6][ \t\r\n]",
    "AVIF": rb".{4}ftypavi[fs]|.{4}ftyp(mif1|msf1).{0,40}avif",
    "HEIF": rb".{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "Photoshop": rb"8BPS",
    "DICOM": rb".{128}DICM",
    "SVG": rb"\s*(<\?xml.*)?<svg",
}
_COMPILED = {kind: re.compile(sign, re.DOTALL) for kind, sign in _SIGNS.items()}


@functools.cache
def formats() -> tuple[str, ...]:
    """Return the kinds that are read here, in Pillow's words; the packages that read HEIC are asked."""
    import importlib

    from PIL import Image, features

    Image.init()
    for package in ("pi_heif", "pillow_heif"):
        try:
            importlib.import_module(package).register_heif_opener()
            break
        except (ImportError, AttributeError):
            continue
    known = {"AVIF": features.check("avif") if "avif" in features.modules else False}
    return tuple(kind for kind in WANTED if kind in Image.OPEN and known.get(kind, True))


def kind_of(path: Path) -> str | None:
    """Return what a file is by its first bytes, as `_SIGNS` names it; None for what is no image.

    Raises `OSError` for what cannot be opened.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    return next((kind for kind, sign in _COMPILED.items() if sign.match(head)), None)


def left_out_as(path: Path) -> str | None:
    """Return why a file is left out before anything is decoded; None for what is to be decoded.

    A usual name is believed, as decoding finds out. Anything else is opened.
    """
    suffix = path.suffix.lower()
    if suffix in RAW:  # some begin as a TIFF does, and hold a thumbnail first
        return f"{NOT_READ} ({suffix})"
    if suffix in SUFFIXES:
        return None
    try:
        kind = kind_of(path)
    except OSError as error:
        return _not_opened(error)
    if kind is None:
        return f"{NO_IMAGE} ({suffix or 'without a suffix'})"
    return None if kind in WANTED else f"{NOT_READ} ({kind})"


def why_unreadable(path: Path, error: Exception) -> str:
    """Return in words why a file could not be decoded, so that files are counted by it."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return HUGE
    if isinstance(error, UnidentifiedImageError):
        try:
            if not path.stat().st_size:
                return EMPTY
            kind = kind_of(path)
        except OSError as unopened:
            return _not_opened(unopened)
        if kind is None:
            return f"{NO_IMAGE} ({path.suffix.lower() or 'without a suffix'})"
        if kind in WANTED:
            missing = {"HEIF": HEIC, "AVIF": AVIF} if kind not in formats() else {}
            return missing.get(kind, f"damaged {kind}")
        return f"{NOT_READ} ({kind})"
    if isinstance(error, OSError) and error.errno is not None:
        return _not_opened(error)
    text = " ".join(str(error).split())
    if re.search("truncated|unexpected end|premature end", text, re.IGNORECASE):
        return CUT_OFF
    return f"damaged ({text or type(error).__name__:.80})"


def _not_opened(error: OSError) -> str:
    return f"not to be opened ({error.strerror or error})"
