"""Recipes: how a network is trained. The default is that of the few-shot report's testbed.

A new setting of all recipes is one field of `Recipe`: its range, its help, how it is parsed and whether a
compiled update depends on it are said there.
"""

import itertools
import numbers
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from fewshot import settings
from fewshot.errors import UsageError, unknown
from fewshot.registry import Registry
from fewshot.settings import Range
from fewshot.training.optimizers import optimizers

schedules = Registry("schedule")
recipes = Registry("recipe")
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


KINDS: dict[type, tuple[Any, str]] = {
    bool: (bool, "yes or no"),
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    str: (str, "a name"),
}


@dataclass(frozen=True)
class Setting:
    """What is said of a recipe's field beside its type and default, once: all else follows from it.

    kind: the type of its values; optional: None is one of them. help: what it does. compiled: a compiled
    update depends on it, so that another value compiles anew.
    choices: the names it takes. range: the numbers.
    """

    kind: type
    optional: bool
    help: str
    compiled: bool
    choices: Collection[str] | None = None
    range: Range | None = None

    def check(self, name: str, value: object) -> None:
        """Raise `UsageError` for a value that the field does not take."""
        if value is None and self.optional:
            return
        kinds, words = KINDS[self.kind]
        if not isinstance(value, kinds) or (isinstance(value, bool) and self.kind is not bool):
            wanted = self.range.wanted if self.range else words
            raise UsageError(f"the recipe's {name} is {wanted}. Received: {value!r}")
        if self.choices is not None and value not in self.choices:
            raise unknown(name, str(value), self.choices)
        if self.range and not self.range.holds(value):  # type: ignore[arg-type]
            raise UsageError(f"the recipe's {name} is {self.range.wanted}. Received: {value}")


def setting(default: object, help: str, *, compiled: bool, **limits: Any) -> Any:
    """Return a field of `Recipe`. limits: `Setting`'s choices or range."""
    kind = int if default is None else type(default)
    described = Setting(kind, default is None, help, compiled, **limits)
    return field(default=default, metadata={"setting": described})


def settings_of(recipe: type) -> dict[str, Setting]:
    """Return what is said of each field; `TypeError` for a field that was declared without `setting`."""
    bare = [f.name for f in fields(recipe) if "setting" not in f.metadata]
    if bare:
        raise TypeError(f"a recipe's field is declared by setting(…), which asks what it needs: {bare[0]}")
    return {f.name: f.metadata["setting"] for f in fields(recipe)}


COUNT = {"range": settings.COUNT}
SHARE = {"range": settings.SHARE}
POSITIVE = {"range": settings.POSITIVE}
NOT_NEGATIVE = {"range": settings.NOT_NEGATIVE}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained on cross-entropy: each field is described where it is declared.

    Raises `UsageError` for a value out of range, or a name that is not registered.
    """

    optimizer: str = setting(
        "sgd", "the registered optimiser (`fewshot.training.optimizers`)", compiled=True, choices=optimizers
    )
    learning_rate: float = setting(0.01, "the highest learning rate", compiled=False, **POSITIVE)
    momentum: float = setting(0.9, "the momentum of sgd", compiled=True, **SHARE)
    nesterov: bool = setting(False, "sgd looks a step ahead", compiled=True)
    weight_decay: float = setting(
        5e-4,
        "PyTorch's: added to the gradient, so it goes through the momentum, biases included; adamw's is "
        "decoupled (arXiv 1711.05101)",
        compiled=True,
        **NOT_NEGATIVE,
    )
    schedule: str = setting(
        "constant", "the registered course of the learning rate", compiled=False, choices=schedules
    )
    batch: int = setting(128, "images an update", compiled=False, **COUNT)
    epochs: int = setting(100, "passes through the training images", compiled=False, **COUNT)
    updates: int | None = setting(None, "updates in all, instead of epochs", compiled=False, **COUNT)
    online: str = setting(
        "none",
        "the online augmentation that every batch goes through (`fewshot.augment.online`)",
        compiled=True,
    )
    label_smoothing: float = setting(
        0.0,
        "the share of each label that is spread evenly over all classes (arXiv 1512.00567)",
        compiled=True,
        **SHARE,
    )
    ema: float = setting(
        0.0,
        "predictions use the weights' exponential moving average of this decay; 0: the last weights",
        compiled=True,
        **SHARE,
    )
    ensemble_size: int = setting(
        1, "networks that are trained, from other seeds, and averaged", compiled=False, **COUNT
    )
    tta_flip: bool = setting(
        False, "probabilities are averaged over each image and its mirror image", compiled=False
    )
    precision: str = setting(
        "float32",
        "of the layers' arithmetic; with bfloat16 weights, losses and updates stay in float32",
        compiled=True,
        choices=PRECISIONS,
    )

    def __post_init__(self):
        for name, described in settings_of(type(self)).items():
            described.check(name, getattr(self, name))

    def compiled(self) -> "Recipe":
        """Return what a compiled update depends on: the recipe, all other fields at their defaults."""
        return Recipe(**{name: getattr(self, name) for name, s in SETTINGS.items() if s.compiled})

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


SETTINGS = settings_of(Recipe)


@recipes.register("report")
def report():
    """The few-shot report's testbed: SGD, learning rate 0.01, momentum 0.9, 100 epochs."""
    return Recipe()


@recipes.register("best")
def best():
    """400 epochs of strong augmentation, one-cycle, label smoothing (found by docs/results/search.md)."""
    return Recipe(
        learning_rate=0.1,
        schedule="one-cycle",
        epochs=400,
        online="strong",
        label_smoothing=0.1,
        tta_flip=True,
    )


@recipes.register("long")
def long():
    """2,000 passes through little data, with ten times the usual decay: for wide networks, on a GPU.

    As many passes and as much decay as ChimeraMix's baselines take (arXiv 2202.11616), which draw batches of
    ten at a rate of .0046; rate, its course, augmentation and smoothing are those of `best`.
    """
    return Recipe(
        learning_rate=0.1,
        weight_decay=0.005,
        schedule="one-cycle",
        epochs=2000,
        online="strong",
        label_smoothing=0.1,
        tta_flip=True,
        precision="bfloat16",
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
        online="flip+shift-crop+cutout",
        label_smoothing=0.1,
        tta_flip=True,
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
        online="flip+shift-crop-2",
        label_smoothing=0.2,
        tta_flip=True,
        precision="bfloat16",
    )
