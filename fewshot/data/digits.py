"""The 1797 handwritten digits that come with scikit-learn: the dataset that needs no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fewshot.data.catalogue import datasets
from fewshot.data.dataset import Dataset, Splits
from fewshot.data.sources import Source

PIN = "529fa2eec91b17af27d78180390ca895703343301cfda8f12b58d4b08e2196e5"


@datasets.register("digits", pin=PIN, side=32, note="comes with scikit-learn: no download")
def digits(data_dir: Path | None) -> list[Source]:
    """1,797 handwritten digits from scikit-learn, 32x32, no download (ten classes, no test split)."""
    return [("scikit-learn", read_digits)]


def read_digits(scratch: Path) -> Splits:
    """Return the digits, uint8, 1797x32x32x3: each of the 8x8 grey pixels becomes a 4x4 square."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    grey = small.repeat(4, axis=1).repeat(4, axis=2)
    x = np.repeat(grey[..., None], 3, axis=3)
    classes = tuple(str(digit) for digit in range(10))
    return Splits("digits", Dataset(x, bunch.target.astype(np.int64), classes))
