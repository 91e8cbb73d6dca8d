"""What the examples share: their arguments, and photos where there are none."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image


def arguments(*defaults: str) -> tuple[str, ...]:
    """Return the script's arguments, and `defaults` where it has none."""
    # in a notebook, the arguments are the kernel's
    given = () if "ipykernel" in sys.modules else sys.argv[1:]
    return (*given, *defaults[len(given) :])


def coloured(folder: str | Path, count: int = 12, side: int = 32) -> Path:
    """Return a folder of `count` images a class, reddish and bluish noise, written if it is not there yet."""
    folder, rng = Path(folder), np.random.default_rng(0)
    for name, colour in (("red", (60, 0, 0)), ("blue", (0, 0, 60))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = (rng.integers(0, 190, (side, side, 3)) + colour).astype(np.uint8)
            path = folder / name / f"{number:02}.png"
            if not path.exists():
                Image.fromarray(pixels).save(path)
    return folder
