"""Training: mini-batches, the loss, its gradient, an update; and cross-validation, which does it k times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from fewshot.baselines.numpy_net import build
from fewshot.baselines.numpy_net.loss import softmax_cross_entropy
from fewshot.baselines.numpy_net.network import Network
from fewshot.baselines.numpy_net.optimizers import optimizers
from fewshot.data.dataset import Dataset
from fewshot.errors import UsageError
from fewshot.seeding import rng
from fewshot.stats import metrics
from fewshot.training.curves import Curve, Trace
from fewshot.training.recipe import Recipe

UNFIT = (
    "decay_kernels_only",
    "online",
    "ema",
    "lookahead",
    "ensemble_size",
    "tta_shift",
    "precision",
)  # fields of a recipe that only the Keras engine follows
Progress = Callable[[int, int, float], None]  # (update, updates in all, loss of its batch)


def check_recipe(recipe: Recipe) -> None:
    """Raise `UsageError` for a recipe that asks for what only the Keras engine does."""
    for name in UNFIT:
        if getattr(recipe, name) != getattr(Recipe(), name):
            raise UsageError(f"a NumPy network cannot follow a recipe's {name}: use a Keras network")
    if recipe.optimizer not in optimizers:
        raise UsageError(
            f"NumPy networks know {', '.join(optimizers)}. Received: optimizer={recipe.optimizer}"
        )


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the distributions that give all to the label, float32 (N, classes)."""
    return np.eye(classes, dtype=np.float32)[labels]


def train(
    network: Network,
    images: np.ndarray,
    targets: np.ndarray,
    recipe: Recipe,
    seed: int,
    watch: Dataset | None = None,
    progress: Progress | None = None,
    views: int = 1,
) -> Curve:
    """Train the network, from the weights that it has; return the learning curve (`fewshot.training.curves`).

    images: uint8 (or floats), (N, height, width, channels). targets: distributions, (N, classes).
    recipe: without online augmentation, moving average or ensembles (`check_recipe`).
    seed: of the order of the images.
    watch: evaluated at every point of the curve. progress: called after every update. views: the images are
    so many versions of the same ones, one after the other; each epoch sees the next version.
    Raises `DivergedError` at the first loss that is no number, `UsageError` for pixels that are none.
    """
    check_recipe(recipe)
    network.standardise.observe(images)
    smooth = np.float32(recipe.label_smoothing)
    targets = (1 - smooth) * targets + smooth / targets.shape[1]
    optimizer = optimizers[recipe.optimizer](network.parameters, recipe)
    n = len(images) // views
    trace = Trace(recipe.steps(n), recipe.epoch_steps(n))
    batches = recipe.batches(n, rng(seed, "shuffle"), views)
    for update, (rate, batch) in enumerate(zip(recipe.rates(n), batches), 1):  # noqa: B905  (endless)
        with np.errstate(over="ignore", invalid="ignore"):  # the trace says where it went wrong
            logits = network.forward(images[batch], training=True)
            loss, gradient = softmax_cross_entropy(logits, targets[batch])
            network.backward(gradient)
            optimizer.update(network.gradients, rate)
        trace.add([loss], [np.sum(logits.argmax(1) == targets[batch].argmax(1))], [len(batch)])
        if watch and update in trace.points:
            trace.watch(metrics.measure(network.predict(watch.x), watch.y))
        if progress:
            progress(update, trace.updates, loss)
    return trace.curve()


@dataclass(frozen=True)
class Fold:
    """One part of a cross-validation: the network that never saw it, and what it makes of it.

    held_out: positions of the part. measured: `fewshot.stats.metrics` on it.
    """

    network: Network
    held_out: np.ndarray
    measured: dict[str, float]
    curve: Curve


def folds(
    labels: np.ndarray, count: int, seed: int, stratified: bool = True
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield `count` times the positions to train on and those held out; each is held out exactly once.

    Parts differ by one image at most. stratified: so do the numbers of images of a class in them.
    Raises `UsageError` for fewer than two folds, or more folds than images.
    """
    if not 2 <= count <= len(labels):
        raise UsageError(f"{len(labels)} images make 2 to {len(labels)} folds. Received: {count}")
    order = rng(seed, "folds").permutation(len(labels))
    if stratified:
        order = order[np.argsort(labels[order], kind="stable")]  # class after class, each in random order
    part = np.empty(len(labels), int)
    part[order] = np.arange(len(labels)) % count  # dealt like cards
    for number in range(count):
        yield np.flatnonzero(part != number), np.flatnonzero(part == number)


def cross_validate(
    text: str,
    data: Dataset,
    recipe: Recipe,
    count: int,
    seed: int,
    stratified: bool = True,
    progress: Progress | None = None,
) -> list[Fold]:
    """Train the network that `text` names once for each fold, from the same weights; measure on the fold."""
    measured_folds = []
    for positions, held_out in folds(data.y, count, seed, stratified):
        network = build(text, data.image_shape, len(data.classes), seed)
        seen, unseen = data.take(positions), data.take(held_out)
        targets = one_hot(seen.y, len(data.classes))
        curve = train(network, seen.x, targets, recipe, seed, progress=progress)
        measured_folds.append(
            Fold(network, held_out, metrics.measure(network.predict(unseen.x), unseen.y), curve)
        )
    return measured_folds
