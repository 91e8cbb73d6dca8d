"""Trained generators: what training yields, kept on disk by all that determines it, and sampled from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fewshot.data.dataset import Dataset
from fewshot.errors import UsageError
from fewshot.machine import memory, room
from fewshot.seeding import rng
from fewshot.training import trained
from gan.recipe import GanRecipe
from gan.training import Run, identity, separate

CARD = "generator.json"  # what `gan.train` writes beside generator.keras

# (latents (N, latent), labels (N,)) -> uint8 images
Make: TypeAlias = "Callable[[np.ndarray, np.ndarray], np.ndarray]"


@dataclass(frozen=True)
class Generator:
    """One trained generator: what it makes, its latents' length, its classes, and what training took."""

    make: Make
    latent: int
    classes: tuple[str, ...]
    seconds: float = 0.0

    def sample(self, each: int, seed: int) -> Dataset:
        """Return `each` images of every class; of more, the first ones are the same."""
        images = []
        for label, name in enumerate(self.classes):
            latents = rng(seed, f"latents of {name}").standard_normal((each, self.latent), np.float32)
            images.append(self.make(latents, np.full(each, label)))
        return Dataset(np.concatenate(images), np.repeat(np.arange(len(self.classes)), each), self.classes)


def sample_images(generators: list[Generator], each: int, seed: int) -> Dataset:
    """Return `each` images of every class, class by class, of generators that share the classes out.

    Raises `NoRoom` for more than memory holds.
    """
    count = sum(len(generator.classes) for generator in generators)
    image = max(generator.sample(1, seed).x[0].nbytes for generator in generators)
    images = f"{count * each:,} images"
    # As bytes of their own, all of them together, and as the network makes them.
    room(3 * count * each * image, images, f"some {(memory() or 0) // (3 * count * image):,} a class fit")
    parts = [generator.sample(each, seed) for generator in generators]
    classes = tuple(name for part in parts for name in part.classes)
    y = np.repeat(np.arange(len(classes)), each)
    return Dataset(np.concatenate([part.x for part in parts]), y, classes)


def cached(
    recipe: GanRecipe,
    images: Dataset,
    seed: int,
    progress: Callable[[Run], None] = lambda run: None,
) -> list[Generator]:
    """Return the generators of a recipe for compact images, trained if they are not in the cache yet.

    Needs `fewshot.backend.start` before. `progress(run)` is called along the training. Raises
    `DivergedError` where it breaks down, and `UsageError` for generators that know of no classes.
    """
    if recipe.labels == "together":
        raise UsageError("a GAN with labels=together knows of no classes: its images teach no classifier")
    return [_cached(recipe, part, seed, progress) for part in separate(recipe, images)]


def _cached(recipe: GanRecipe, images: Dataset, seed: int, progress) -> Generator:
    def train() -> tuple[dict, list[np.ndarray]]:
        run = Run(recipe, images, seed)
        for _ in run.advance(run.total):
            progress(run)
        return {"seconds": run.seconds, "updates": run.done}, run.weights()

    note, weights = trained.cached("generators", identity(recipe, images, seed), train)
    return _of_weights(recipe, images, weights, note["seconds"])


def _of_weights(recipe: GanRecipe, images: Dataset, weights: list[np.ndarray], seconds: float) -> Generator:
    from fewshot.training.player import assign
    from gan.engine import compiled

    engine = compiled(recipe, images.image_shape, len(images.classes))

    def make(latents, labels):
        assign(engine.generator.variables, weights)
        return engine.sample(latents, labels)

    return Generator(make, engine.latent, images.classes, seconds)
