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
    """What a network is trained on: images and their label distributions.

    x: uint8, (M, height, width, 3). targets: float32, (M, classes), rows sum to 1.
    """

    x: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


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
