"""Data: the named datasets and the user's own folders, as `Splits` of images ready to be read.

    prepared = prepare(DataSpec("cifar10"))     # fetched once, then a cache folder
    splits = open_splits(prepared.folder)       # memory-mapped: splits.train.x, splits.train.y

Importing this is light: image, download and dataset libraries are imported where they are used.
"""

from __future__ import annotations

from fewshot.data.catalogue import DataSpec, Prepared, datasets, open_splits, prepare, verify
from fewshot.data.dataset import Dataset, Splits
from fewshot.io.cache import cache_dir
from fewshot.registry import import_all

__all__ = [
    "DataSpec",
    "Dataset",
    "Prepared",
    "Splits",
    "cache_dir",
    "datasets",
    "open_splits",
    "prepare",
    "verify",
]

import_all(__name__, __path__, but=("exploration",))  # any file may register datasets and protocols
