"""Photos for the examples, where there are none: two classes of noise, one reddish, one bluish."""

from pathlib import Path

import numpy as np
from PIL import Image


def coloured(folder: str | Path, count: int = 12, side: int = 32) -> Path:
    """Return a folder with so many images of each class, written if it is not there yet."""
    folder, rng = Path(folder), np.random.default_rng(0)
    for name, colour in (("red", (60, 0, 0)), ("blue", (0, 0, 60))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = (rng.integers(0, 190, (side, side, 3)) + colour).astype(np.uint8)
            path = folder / name / f"{number:02}.png"
            if not path.exists():
                Image.fromarray(pixels).save(path)
    return folder
