"""The words of the data: `Dataset` (images, labels, class names) and `Splits` (train, val, test)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

from fewshot.data.stored import StoredViews
from fewshot.errors import unknown
from fewshot.seeding import rng

Prior = Literal["alike", "natural"]
PRIORS: tuple[Prior, ...] = get_args(Prior)
BLOCK = 100  # images looked at together


@dataclass(frozen=True)
class Dataset:
    """Images with labels.

    x: uint8, shape (N, height, width, 3), RGB; with all views of each, (N, V, height, width, 3): these may
    be `fewshot.data.stored.StoredViews`, which are indexed alike.
    y: int64, shape (N,), positions in `classes`.
    classes: the names of all classes, those without an image included.
    groups: (N,), the same number for near-duplicates, in all parts of the data; None where not known yet.
    prior: what is learnt from them takes the classes as "alike", however many images each has, or, "natural",
    as frequent as they are.
    """

    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    groups: np.ndarray | None = None
    prior: Prior = "alike"

    def __len__(self) -> int:
        return len(self.y)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape of an image, or of each of its views."""
        return self.x.shape[-3:]

    @property
    def weights(self) -> np.ndarray:
        """What each image counts in training, float64 (N,), 1 on average; all 1 where classes are equal."""
        counts = np.bincount(self.y, minlength=len(self.classes))
        if self.prior == "natural":
            return np.ones(len(self))
        return np.asarray(len(self) / (np.count_nonzero(counts) * counts[self.y]))

    @property
    def scenes(self) -> np.ndarray:
        """Of which scene each image is, int (N,): near-duplicates share one, every other has its own."""
        return np.arange(len(self)) if self.groups is None else self.groups

    @property
    def uneven(self) -> bool:
        """Whether some images count more than others."""
        return bool((self.weights != 1).any())

    def repeated(self, seed: int) -> Dataset:
        """Return the images, those of smaller classes as often as it takes to have as many as the largest.

        Whole rounds, and of the last a random share. What counts them as they are counts classes alike.
        """
        if not self.uneven:
            return self
        prng, most = rng(seed, "repeated"), np.bincount(self.y).max()
        parts = [np.arange(len(self))]
        for label in np.unique(self.y):
            own = np.flatnonzero(self.y == label)
            rounds, rest = divmod(most - len(own), len(own))
            parts += [np.tile(own, rounds), prng.permutation(own)[:rest]]
        return self.take(np.concatenate(parts))

    def take(self, index: np.ndarray) -> Dataset:
        """Return the images at `index`, in that order, copied into memory; all views stay on disk."""
        groups = None if self.groups is None else self.groups[index]
        return Dataset(_take(self.x, index), np.asarray(self.y[index]), self.classes, groups, self.prior)

    def compact(self) -> Dataset:
        """Return the images with the classes that they have, numbered without gaps, in their order."""
        present, y = np.unique(self.y, return_inverse=True)
        classes = tuple(self.classes[label] for label in present)
        x = self.x if self.x.ndim == 5 else np.asarray(self.x)
        return Dataset(x, y, classes, self.groups, self.prior)


@dataclass(frozen=True)
class Splits:
    """A dataset as its source divides it; `val` and `test` are None where the source has none."""

    name: str
    train: Dataset
    test: Dataset | None = None
    val: Dataset | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    @property
    def parts(self) -> dict[str, Dataset]:
        """The parts that exist, by name: `train`, and `val` and `test` where there are such."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: part for name, part in named.items() if part is not None}

    def whole(self) -> Dataset:
        """Return the images of all parts together, in memory; one part's photos in all views stay on disk."""
        parts = list(self.parts.values())
        if len(parts) == 1 and parts[0].x.ndim == 5:
            return parts[0]
        x, y = (np.concatenate([getattr(part, name) for part in parts]) for name in "xy")
        numbers = [part.groups for part in parts if part.groups is not None]
        groups = np.concatenate(numbers) if len(numbers) == len(parts) else None
        return Dataset(x, y, self.classes, groups)

    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of all images and labels, with the parts' names and shapes."""
        digest = hashlib.sha256()
        for name, part in self.parts.items():
            for array in (part.x, part.y):
                digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
                for start in range(0, len(array), BLOCK):  # all views of all photos may not fit into memory
                    digest.update(np.ascontiguousarray(array[start : start + BLOCK]).data)
        return digest.hexdigest()


def check_prior(prior: str) -> None:
    """Raise `UsageError` for what is no prior."""
    if prior not in PRIORS:
        raise unknown("prior", str(prior), PRIORS)


def _take(x: np.ndarray, index: np.ndarray) -> np.ndarray:
    if isinstance(x, StoredViews):
        return cast(np.ndarray, x.take(index))
    if isinstance(x, np.memmap) and x.ndim == 5:
        return cast(np.ndarray, StoredViews(x, np.arange(len(x))[index]))
    return np.asarray(x[index])
