"""Recipes: how a network is trained. The default is that of the few-shot report's testbed."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fewshot.errors import UsageError, unknown
from fewshot.registry import Registry

schedules = Registry("schedule")
recipes = Registry("recipe")
OPTIMIZERS = ("sgd", "adagrad", "adadelta", "adam", "adamw")  # made by fewshot.training.optimizers
PRECISIONS = ("float32", "bfloat16")


# A schedule is `course(progress, epochs)`: shares of the learning rate, at each update's progress in [0, 1).


@schedules.register("constant")
def constant(progress, epochs):
    """The same learning rate throughout."""
    return np.ones_like(progress)


@schedules.register("cosine")
def cosine(progress, epochs):
    """From the learning rate down to zero along half a cosine (arXiv 1608.03983)."""
    return (1 + np.cos(np.pi * progress)) / 2


@schedules.register("one-cycle")
def one_cycle(progress, epochs):
    """Up from 1/25 in the first 30 % of the updates, then down to zero (arXiv 1708.07120, by cosines)."""
    rising, falling = np.minimum(progress / 0.3, 1), np.maximum((progress - 0.3) / 0.7, 0)
    return np.where(progress < 0.3, 1 - (1 - 1 / 25) * cosine(rising, epochs), cosine(falling, epochs))


@schedules.register("triangle", version=2)
def triangle(progress, epochs):
    """From a fifth up in the first fifth of the updates, then down to zero in a straight line."""
    return np.interp(progress, [0, 0.2, 1], [0.2, 1, 0])


@schedules.register("linear")
def linear(progress, epochs):
    """Down to zero by equal steps after every epoch (PyTorch's LambdaLR with 1 - epoch / epochs)."""
    return 1 - _epoch(progress, epochs) / epochs


@schedules.register("exponential")
def exponential(progress, epochs):
    """Times 0.95 after every epoch (PyTorch's ExponentialLR)."""
    return 0.95 ** _epoch(progress, epochs)


@schedules.register("step")
def step(progress, epochs):
    """A tenth after every seventh epoch (PyTorch's StepLR, as in its tutorial on transfer)."""
    return 0.1 ** (_epoch(progress, epochs) // 7)


def _epoch(progress, epochs):
    return np.floor(progress * epochs + 1e-9)


_COUNT = (lambda value: value >= 1, "a whole number above 0")
_SHARE = (lambda value: 0 <= value < 1, "0 or more, and below 1")
RANGES = {
    **dict.fromkeys(("batch", "epochs", "updates", "members"), _COUNT),
    **dict.fromkeys(("momentum", "label_smoothing", "ema"), _SHARE),
    "learning_rate": (lambda value: 0 < value < math.inf, "a number above 0"),
    "weight_decay": (lambda value: 0 <= value < math.inf, "0 or more"),
}


@dataclass(frozen=True)
class Recipe:
    """An optimiser with PyTorch's weight decay on cross-entropy.

    optimizer: one of `OPTIMIZERS`; momentum and nesterov are SGD's.
    weight_decay is coupled: added to the gradient, so it goes through the momentum, biases included;
    adamw's is decoupled (arXiv 1711.05101).
    schedule: a registered course of the learning rate, of which `learning_rate` is the highest.
    updates: gradient updates in all, instead of `epochs` passes through the training images.
    policy: the registered online policy (`fewshot.augment.online`) that every batch goes through.
    label_smoothing: the share of each label that is spread evenly over all classes (arXiv 1512.00567).
    ema: predictions use the weights' exponential moving average of this decay; 0 the last weights.
    members: as many networks are trained, from other seeds, and their probabilities averaged.
    mirror: probabilities are averaged over each image and its mirror image.
    precision: of the layers' arithmetic; with bfloat16 weights, losses and updates stay in float32.
    """

    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: str = "constant"
    batch: int = 128
    epochs: int = 100
    updates: int | None = None
    policy: str = "none"
    label_smoothing: float = 0.0
    ema: float = 0.0
    members: int = 1
    mirror: bool = False
    precision: str = "float32"

    def __post_init__(self):
        schedules[self.schedule]
        for name, known in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        for name, (fits, wanted) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not fits(value):
                raise UsageError(f"the recipe's {name} is {wanted}. Received: {value}")

    def compiled(self) -> "Recipe":
        """Return what a compiled update depends on: the recipe, all other fields at their defaults."""
        fields = ("optimizer", "momentum", "nesterov", "weight_decay", "policy", "label_smoothing", "ema")
        return Recipe(**{name: getattr(self, name) for name in (*fields, "precision")})

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

    def rates(self, n: int) -> np.ndarray:
        """Return the learning rate of every update on `n` images, float32."""
        steps = self.steps(n)
        course = schedules[self.schedule](np.arange(steps) / steps, steps / self.epoch_steps(n))
        return (self.learning_rate * course).astype(np.float32)


@recipes.register("report")
def report():
    """The few-shot report's testbed: SGD, learning rate 0.01, momentum 0.9, 100 epochs."""
    return Recipe()


@recipes.register("best")
def best():
    """400 epochs of strong augmentation, one-cycle, label smoothing (found by docs/search.md)."""
    return Recipe(
        learning_rate=0.1,
        schedule="one-cycle",
        epochs=400,
        policy="strong",
        label_smoothing=0.1,
        mirror=True,
    )


@recipes.register("whole")
def whole():
    """30 epochs on a whole dataset: Nesterov, one-cycle up to 0.1, crops, cutout, label smoothing.

    For networks with normalisation; those without want a lower rate. Rate, batch, decay and cutout as arXiv
    1708.04552 has them for CIFAR-10, which takes 200 epochs; the rate's course is that of arXiv 1708.07120.
    """
    return Recipe(
        learning_rate=0.1,
        nesterov=True,
        schedule="one-cycle",
        epochs=30,
        policy="flip+shift-crop+cutout",
        label_smoothing=0.1,
        mirror=True,
        precision="bfloat16",
    )


@recipes.register("speedrun")
def speedrun():
    """14 epochs for the network `airbench`, with the constants of arXiv 2404.00498 before lookahead.

    Its author's ablation reaches 94.01 % (n = 200) in 13.5 epochs at this step; lookahead, flips in turn and
    shifted views at prediction would save another 3.6. His code sums the loss over a batch and divides rate
    and decay by what momentum adds: here they are the same for the mean.
    """
    return Recipe(
        learning_rate=1.3,
        momentum=0.85,
        nesterov=True,
        weight_decay=0.00153,
        schedule="triangle",
        batch=1024,
        epochs=14,
        policy="flip+shift-crop-2",
        label_smoothing=0.2,
        mirror=True,
        precision="bfloat16",
    )
