"""Expansions: the training set grows once, before training.

An expansion is a list of transforms; the set then holds the originals and, for each transform, one more
copy of them all: `flip` makes 2N of N. The transforms are albumentations', or written in its idiom.
"""

from dataclasses import dataclass

import numpy as np

from fewshot.data.dataset import Dataset
from fewshot.registry import Registry
from fewshot.seeding import stream_seed

expansions = Registry("method")


@dataclass(frozen=True)
class Examples:
    """What a network is trained on: images and their label distributions, mixed in pairs or as they are.

    x: uint8, (M, height, width, 3). targets: float32, (M, classes), rows sum to 1.
    pairs: int32, (T, 2), or None. Example t is then the average of the images `pairs[t]` (twice the same
    one for an image as it is); averages are made in the graph, never held.
    share: float32, (T,): how much of example t's target comes from its second image (0 or 0.5).
    views: x holds so many versions of the same images one after the other; each epoch sees the next one.
    """

    x: np.ndarray
    targets: np.ndarray
    pairs: np.ndarray | None = None
    share: np.ndarray | None = None
    views: int = 1

    def __len__(self) -> int:
        """The examples that one epoch sees."""
        return len(self.x if self.pairs is None else self.pairs) // self.views


@expansions.register("none")
def none():
    """The task's images as they are: the baseline."""
    return []


@expansions.register("flip")
def flip():
    """Add each image mirrored left to right (2N)."""
    import albumentations as A

    return [A.HorizontalFlip(p=1)]


def expand(train: Dataset, name: str, seed: int) -> Examples:
    """Return the training images and what the expansion `name` makes of them, a function of the seed.

    `seed` fixes the draws of random transforms; images are expanded in the order of `train`.
    """
    copies = [np.asarray(train.x)]
    transforms = expansions[name]()
    if transforms:
        import albumentations as A

        for number, transform in enumerate(transforms):
            pipeline = A.Compose([transform], seed=stream_seed(seed, f"expand {number}"))
            copies.append(np.stack([pipeline(image=image)["image"] for image in train.x]))
    targets = np.eye(len(train.classes), dtype=np.float32)[train.y]
    return Examples(np.concatenate(copies), np.tile(targets, (len(copies), 1)))
