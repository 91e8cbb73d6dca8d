"""Recipes: how a network is trained. The default is that of the few-shot report's testbed."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum and PyTorch's weight decay on cross-entropy.

    weight_decay is coupled: added to the gradient, so it goes through the momentum, biases included.
    updates: gradient updates in all, instead of `epochs` passes through the training images.
    policy: the registered online policy (`fewshot.augment.online`) that every batch goes through.
    """

    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch: int = 128
    epochs: int = 100
    updates: int | None = None
    policy: str = "none"

    def steps(self, n: int) -> int:
        """Return how many updates a training set of `n` images gets."""
        return self.updates or self.epochs * self.epoch_steps(n)

    def epoch_steps(self, n: int) -> int:
        """Return the updates of one pass through `n` images; a last, smaller batch counts as one."""
        return -(-n // self.batch)

    def images_seen(self, n: int) -> int:
        """Return how many images, repeats included, all updates together see."""
        epochs, rest = divmod(self.steps(n), self.epoch_steps(n))
        return epochs * n + min(rest * self.batch, n)

    def batches(self, n: int, rng: np.random.Generator, views: int = 1) -> Iterator[np.ndarray]:
        """Yield endless batches of positions (int32), below `n`, shuffled anew for every epoch.

        views: the images are held in so many versions, `n` positions each; each epoch takes the next.
        """
        order = np.arange(n, dtype=np.int32)
        for view in itertools.cycle(range(views)):
            rng.shuffle(order)
            for start in range(0, n, self.batch):
                yield order[start : start + self.batch] + np.int32(view * n)

    def rates(self, steps: int) -> np.ndarray:
        """Return the learning rate of every update, float32."""
        return np.full(steps, self.learning_rate, np.float32)
