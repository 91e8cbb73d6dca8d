"""Photos that are hardly usable: flat, dark, bright, blurred, tiny, oddly shaped.

Each fault needs two things: a bound that says what is hardly usable at all, and that the photo is unusual
among these photos; where all are dark, dark is how they are. A flat photo is one in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fewshot.inspection.measurements import Measurement
from fewshot.inspection.unusual import unusual

LEAST = 0.5  # how sure a fault has to be
FLAT = 2.0  # the standard deviation of grey below which nothing can be seen
DARK, BRIGHT = 60.0, 195.0  # even the brightest twentieth is darker; even the darkest is brighter
BLURRED = 0.55
TINY = 0.4  # of the median short side
ODD = 1.6  # times as elongated as the median

Photos: TypeAlias = Sequence[tuple[int, Measurement]]  # with their positions


@dataclass(frozen=True)
class Fault:
    """What is wrong with the photo at `position`: its kind, how sure that is (0 to 1), and the reason."""

    position: int
    kind: str
    sure: float
    why: str


def faults(measurements: Sequence[Measurement | None]) -> tuple[Fault, ...]:
    """Return the faults of photos, the surest first; a photo has one of a kind at most."""
    known = [(i, photo) for i, photo in enumerate(measurements) if photo is not None]
    flat = [(i, photo) for i, photo in known if photo.contrast < FLAT]
    lit = [(i, photo) for i, photo in known if photo.contrast >= FLAT]
    sized = [(i, photo) for i, photo in known if photo.width]
    listed = [Fault(i, "flat", 1.0, _flat(photo)) for i, photo in flat]
    listed += _dark(lit) + _bright(lit) + _blurred(lit)
    if sized:
        listed += _tiny(sized) + _oddly_shaped(sized)
    return tuple(sorted(listed, key=lambda fault: (-fault.sure, fault.position)))


def _dark(photos: Photos) -> list[Fault]:
    levels = np.array([one.brightness[1] for _, one in photos])
    words = [f"19 of 20 pixels are darker than {level:.0f} of 255" for level in levels]
    return _faults("dark", photos, unusual(levels, 10.0, high=False), levels < DARK, words)


def _bright(photos: Photos) -> list[Fault]:
    levels = np.array([one.brightness[0] for _, one in photos])
    words = [f"19 of 20 pixels are brighter than {level:.0f} of 255" for level in levels]
    return _faults("bright", photos, unusual(levels, 10.0), levels > BRIGHT, words)


def _blurred(photos: Photos) -> list[Fault]:
    shares = np.array([one.blur for _, one in photos]).clip(0.01, 0.99)
    words = [f"{100 * share:.0f} % of its edges would stand another blur" for share in shares]
    return _faults("blurred", photos, unusual(np.log(shares / (1 - shares)), 0.2), shares > BLURRED, words)


def _tiny(photos: Photos) -> list[Fault]:
    sides = np.array([min(one.width, one.height) for _, one in photos])
    usual = np.median(sides)
    words = [f"{one.width}×{one.height} pixels; usual is a short side of {usual:.0f}" for _, one in photos]
    return _faults("tiny", photos, unusual(np.log(sides), 0.1, high=False), sides < TINY * usual, words)


def _oddly_shaped(photos: Photos) -> list[Fault]:
    shapes = np.array(
        [max(one.width, one.height) / min(one.width, one.height) for _, one in photos], np.float64
    )
    usual = np.median(shapes)
    words = [f"{one.width}×{one.height} pixels; usual is {usual:.2g} to 1" for _, one in photos]
    return _faults("oddly shaped", photos, unusual(np.log(shapes), 0.05), shapes > ODD * usual, words)


def _faults(
    kind: str, photos: Photos, sure: np.ndarray, bad: np.ndarray, words: Sequence[str]
) -> list[Fault]:
    """Return a fault for each photo that is both unusual and bad."""
    return [
        Fault(i, kind, float(sure[at]), words[at])
        for at, (i, _) in enumerate(photos)
        if bad[at] and sure[at] >= LEAST
    ]


def _flat(one: Measurement) -> str:
    level = np.mean(one.colour)
    name = "black" if level < 10 else "white" if level > 245 else "of one colour"
    return f"all {name}"
