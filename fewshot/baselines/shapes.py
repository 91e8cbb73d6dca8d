"""The shape of the images behind rows of pixels."""

import math

from fewshot.errors import UsageError


def image_shape(columns: int) -> tuple[int, int, int]:
    """Return (height, width, 3) of the images whose rows have so many columns; `UsageError` if none have."""
    side = math.isqrt(columns // 3)
    if not columns or 3 * side**2 != columns:
        raise UsageError(f"needs square colour images, 3·s·s numbers a row. Received: rows of {columns}")
    return side, side, 3
