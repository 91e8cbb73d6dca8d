"""Recipes: how a network is trained. The default is that of the few-shot report's testbed.

A new setting of all recipes is one field of `Recipe`: its range, its help, how it is parsed and whether a
compiled update depends on it are said there.
"""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from fewshot import settings
from fewshot.errors import UsageError, unknown
from fewshot.registry import Registry
from fewshot.settings import Range
from fewshot.training.optimizers import optimizers

schedules = Registry("schedule")
recipes = Registry("recipe")
PRECISIONS = ("float32", "bfloat16", "float16")
WHITENING_EPOCHS = 3  # as arXiv 2404.00498 has them
NO_STEP = -1.0  # of lookahead, at an update without one


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


@schedules.register("line")
def line(progress, epochs):
    """Down to zero in a straight line, a little at every update."""
    return 1 - progress


@schedules.register("lookahead")
def lookahead(progress, epochs):
    """From a fifth up in the first 23 % of the updates, then down to .07 (arXiv 2404.00498)."""
    return np.interp(progress, [0, 0.23, 1], [0.2, 1, 0.07])


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
    later: it came when there were records already, which stay valid where it is at its default.
    choices: the names it takes. range: the numbers.
    """

    kind: type
    optional: bool
    help: str
    compiled: bool
    later: bool = False
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
NUMBER = {"range": Range(0, 1_000_000, whole=True)}
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
    momentum: float = setting(0.9, "the momentum of sgd and muon", compiled=True, **SHARE)
    nesterov: bool = setting(False, "sgd and muon look a step ahead", compiled=True)
    rest_scale: float = setting(
        1.0,
        "times the learning rate: the rate of what muon leaves to sgd, all but kernels",
        compiled=True,
        later=True,
        **POSITIVE,
    )
    rest_momentum: float = setting(
        0.9, "the momentum of what muon leaves to sgd", compiled=True, later=True, **SHARE
    )
    whitening_rate: float = setting(
        0.0,
        f"the rate of a whitening layer's biases, down to zero in a line over {WHITENING_EPOCHS} epochs; 0: "
        "theirs is as all others'",
        compiled=True,
        later=True,
        **NOT_NEGATIVE,
    )
    weight_decay: float = setting(
        5e-4,
        "PyTorch's: added to the gradient, so it goes through the momentum, biases included; adamw's is "
        "decoupled (arXiv 1711.05101)",
        compiled=True,
        **NOT_NEGATIVE,
    )
    decay_kernels_only: bool = setting(
        False,
        "biases and the scales of normalisations do not decay (arXiv 1812.01187)",
        compiled=True,
        later=True,
    )
    schedule: str = setting(
        "constant", "the registered course of the learning rate", compiled=False, choices=schedules
    )
    batch: int = setting(128, "images an update", compiled=False, **COUNT)
    epochs: int = setting(100, "passes through the training images", compiled=False, **COUNT)
    updates: int | None = setting(None, "updates in all, instead of epochs", compiled=False, **COUNT)
    drop_last: bool = setting(
        False, "an epoch leaves out the images that would not fill its last batch", compiled=False, later=True
    )
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
    lookahead: int = setting(
        0,
        "after so many updates each, slow weights move towards the fast ones, which go on from there (arXiv "
        "1907.08610); the slow ones' share grows as .95**updates × progress³ (arXiv 2404.00498); 0: none",
        compiled=True,
        later=True,
        **NUMBER,
    )
    ensemble_size: int = setting(
        1, "networks that are trained, from other seeds, and averaged", compiled=False, **COUNT
    )
    tta_flip: bool = setting(
        False, "probabilities are averaged over each image and its mirror image", compiled=False
    )
    tta_shift: int = setting(
        0,
        "pixels: predictions are averaged, as logits, with those of the image shifted so far up and left and "
        "so far down and right, which together count as much as the one in its place; 0: none",
        compiled=False,
        later=True,
        **NUMBER,
    )
    precision: str = setting(
        "float32",
        "of the layers' arithmetic; weights, losses and updates stay in float32",
        compiled=True,
        choices=PRECISIONS,
    )

    def __post_init__(self):
        for name, described in settings_of(type(self)).items():
            described.check(name, getattr(self, name))

    def described(self) -> dict[str, object]:
        """Return the fields, as records keep them: those that came later only where they say something."""
        usual = type(self)()
        return {
            name: getattr(self, name)
            for name, s in SETTINGS.items()
            if not s.later or getattr(self, name) != getattr(usual, name)
        }

    def compiled(self) -> Recipe:
        """Return what a compiled update depends on: the recipe, all other fields at their defaults."""
        return Recipe(**{name: getattr(self, name) for name, s in SETTINGS.items() if s.compiled})

    def steps(self, n: int) -> int:
        """Return how many updates a training set of `n` images gets."""
        return self.updates or self.epochs * self.epoch_steps(n)

    def epoch_steps(self, n: int) -> int:
        """Return the updates of one pass through `n` images; a last, smaller batch counts as one."""
        return max(1, n // self.batch) if self.drop_last else -(-n // self.batch)

    def images_seen(self, n: int) -> int:
        """Return how many images, repeats included, all updates together see."""
        an_epoch = min(n, self.epoch_steps(n) * self.batch)
        epochs, rest = divmod(self.steps(n), self.epoch_steps(n))
        return epochs * an_epoch + min(rest * self.batch, n)

    def batches(
        self, n: int, rng: np.random.Generator, views: int = 1, turned: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Yield endless batches of positions (int32), below `n`, shuffled anew for every epoch.

        views: the images are held in so many versions, `n` positions each; each epoch takes the next.
        turned: bool (n,): images that are turned in even epochs, all others in odd ones; the position of one
        that is stands so many further as there are positions.
        """
        order = np.arange(n, dtype=np.int32)
        for epoch, view in enumerate(itertools.cycle(range(views))):
            rng.shuffle(order)
            for step in range(self.epoch_steps(n)):
                index = order[step * self.batch : (step + 1) * self.batch]
                places = index + np.int32(view * n)
                if turned is not None:
                    places += np.int32(views * n) * (turned[index] ^ (epoch % 2 == 1))
                yield places

    def rates(self, n: int) -> np.ndarray:
        """Return the learning rate of every update on `n` images, float32."""
        steps = self.steps(n)
        course = schedules[self.schedule](np.arange(steps) / steps, steps / self.epoch_steps(n))
        return (self.learning_rate * course).astype(np.float32)

    def given(self, n: int) -> np.ndarray:
        """Return what every update on `n` images is given, float32 (updates, columns).

        The learning rate; where they are asked for, the rate of whitening biases, and the share of
        lookahead's slow weights, `NO_STEP` where they do not move.
        """
        steps = self.steps(n)
        columns = [self.rates(n)]
        if self.whitening_rate:
            left = 1 - np.arange(steps) / (WHITENING_EPOCHS * self.epoch_steps(n))
            columns.append(self.whitening_rate * np.maximum(left, 0))
        if self.lookahead:
            done = np.arange(1, steps + 1)
            share = 0.95**self.lookahead * (done / steps) ** 3
            columns.append(np.where(done % self.lookahead == 0, share, NO_STEP))
        return np.stack(columns, 1).astype(np.float32)


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

    As many passes and about as much decay as ChimeraMix takes (arXiv 2202.11616), whose batches are of ten at
    a rate of .0046; rate, its course, augmentation and smoothing are those of `best`. On a CPU without
    bfloat16 take precision=float32, which is quicker there.
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


@recipes.register("whole-long")
def whole_long():
    """120 epochs on a whole dataset: `whole`, four times as long, its decay for kernels alone.

    arXiv 1708.04552 has 96.01 % of CIFAR-10 for ResNet-18 with this cutout after 200 epochs, and arXiv
    1812.01187 no decay of biases and normalisations. No moving average: the rate ends at zero.
    """
    return replace(whole(), epochs=120, decay_kernels_only=True)


@recipes.register("speedrun")
def speedrun():
    """8 epochs by Muon for the network `airbench`: 94.0 % of CIFAR-10 in its author's hands.

    The constants of airbench94_muon (github.com/KellerJordan/cifar10-airbench), whose loss is a sum over the
    batch of 2000 and whose head has weights of variance 1 and logits divided by 256: for the mean, and for a
    head of PyTorch's start divided by 9, they are these. Half precision, its gradients scaled by 1024.
    """
    return Recipe(
        optimizer="muon",
        learning_rate=0.24,
        momentum=0.6,
        nesterov=True,
        rest_scale=6.9,
        rest_momentum=0.85,
        weight_decay=0.0024155,
        whitening_rate=106.0,
        schedule="line",
        batch=2000,
        epochs=8,
        drop_last=True,
        online="flip-in-turn+shift-crop-2",
        label_smoothing=0.2,
        tta_flip=True,
        tta_shift=1,
        precision="float16",
    )


@recipes.register("speedrun-sgd")
def speedrun_sgd():
    """9.9 epochs by SGD for the network `airbench`: 94.02 % (n = 700) of CIFAR-10 in its author's hands.

    The constants of airbench94 (arXiv 2404.00498), lookahead, flips in turn and six views included. His code
    sums the loss over a batch and divides rate and decay by what momentum adds: here they are the same for
    the mean.
    """
    return Recipe(
        learning_rate=1.5,
        momentum=0.85,
        nesterov=True,
        weight_decay=0.00133,
        whitening_rate=1.5,
        schedule="lookahead",
        batch=1024,
        updates=476,
        drop_last=True,
        online="flip-in-turn+shift-crop-2",
        label_smoothing=0.2,
        lookahead=5,
        tta_flip=True,
        tta_shift=1,
        precision="float16",
    )
