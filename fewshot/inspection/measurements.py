"""What can be measured of a photo without knowing what it shows: its file, size, light, sharpness, border."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewshot.data.depth import Levels
from fewshot.data.kinds import formats
from fewshot.data.photo import read_photo
from fewshot.machine import cores

SIDE = 512  # pixels of the long side at which light and sharpness are measured
BORDER = 0.06  # the share of a side that counts as border
CELLS = 3  # mean colours along each side of the border
WINDOW = 9  # pixels of the second blur
ORIENTATION = 0x112  # the tag that says how the camera was held


@dataclass(frozen=True)
class Measurement:
    """One photo.

    bytes, width, height: of the file, upright; 0 for an image without one.
    colour: mean of red, green and blue. brightness: of the darkest and the brightest twentieth, 0–255.
    contrast: standard deviation of grey. blur: 0 (sharp) to 1 (nothing but blur).
    border: mean colours along the border, clockwise.
    """

    bytes: int
    width: int
    height: int
    colour: tuple[float, ...]
    brightness: tuple[float, float]
    contrast: float
    blur: float
    border: tuple[float, ...]


def measure_files(paths: Sequence[Path], levels: Levels | None = None) -> list[Measurement | None]:
    """Return the measurements of photos in the order of their files; None for one that cannot be read.

    levels: of photos with more than 8 bits, the ranges that they are scaled from.
    """
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(functools.partial(_attempt, levels=levels), paths))


def measure_images(images: Iterable[np.ndarray]) -> list[Measurement]:
    """Return the measurements of images without files, uint8 (height, width, 3)."""
    return [_measure(image) for image in images]


def _attempt(path: Path, levels: Levels | None) -> Measurement | None:
    from PIL import Image, ImageOps

    try:
        size = path.stat().st_size
        with Image.open(path, formats=formats()) as file:
            width, height = file.size
            if file.getexif().get(ORIENTATION, 1) >= 5:  # lying
                width, height = height, width
        image = read_photo(path, SIDE // 2, levels)
    except Exception:  # Pillow's readers raise whatever comes up; who decoded the photos has said so
        return None
    image = ImageOps.contain(image, (SIDE, SIDE), Image.Resampling.BOX) if max(image.size) > SIDE else image
    return _measure(np.asarray(image), size, width, height)


def _measure(image: np.ndarray, size: int = 0, width: int = 0, height: int = 0) -> Measurement:
    pixels = image.astype(np.float32)
    grey = pixels @ np.array((0.299, 0.587, 0.114), np.float32)
    return Measurement(
        bytes=size,
        width=width,
        height=height,
        colour=tuple(pixels.mean((0, 1)).tolist()),
        brightness=tuple(np.percentile(grey, (5, 95)).tolist()),
        contrast=float(grey.std()),
        blur=_blur(grey),
        border=_border(pixels),
    )


def _blur(grey: np.ndarray) -> float:
    """Return how little of the differences between neighbours goes when they are blurred (Crete et al. 2007).

    A sharp image loses most of them, a blurred one has none to lose. The sharper direction counts.
    """
    from scipy.ndimage import uniform_filter1d

    kept = []
    for axis in (0, 1):
        if grey.shape[axis] < 3:
            continue
        before = np.abs(np.diff(grey, axis=axis))
        after = np.abs(np.diff(uniform_filter1d(grey, WINDOW, axis), axis=axis))
        total = float(before.sum())
        if total > 0:
            kept.append(1 - float(np.maximum(before - after, 0).sum()) / total)
    return min(kept, default=1.0)


def _border(pixels: np.ndarray) -> tuple[float, ...]:
    height, width = pixels.shape[:2]
    down, across = max(1, round(BORDER * height)), max(1, round(BORDER * width))
    sides = (
        (pixels[:down], 1),
        (pixels[:, -across:], 0),
        (pixels[-down:], 1),
        (pixels[:, :across], 0),
    )
    cells = [cell for side, axis in sides for cell in np.array_split(side, CELLS, axis)]
    means = [cell.mean((0, 1)) if cell.size else np.zeros(3) for cell in cells]
    return tuple(np.concatenate(means).tolist())
