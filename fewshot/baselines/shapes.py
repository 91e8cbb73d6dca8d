"""The shape of the images behind rows of pixels, and the regions that they are divided into."""

from __future__ import annotations

import math

import numpy as np

from fewshot.errors import UsageError


def image_shape(columns: int) -> tuple[int, int, int]:
    """Return (height, width, 3) of the images whose rows have so many columns; `UsageError` if none have."""
    side = math.isqrt(columns // 3)
    if not columns or 3 * side**2 != columns:
        raise UsageError(f"needs square colour images, 3·s·s numbers a row. Received: rows of {columns}")
    return side, side, 3


def regions(places: int, pool: int) -> np.ndarray:
    """Return where the regions of a side begin, and its end: (pool + 1,) positions among the places."""
    return np.linspace(0, places, pool + 1).round().astype(int)
