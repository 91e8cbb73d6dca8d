"""Training: a run that can be left after any update, kept on disk, and resumed."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import numpy as np

from fewshot import backend
from fewshot.data.dataset import Dataset
from fewshot.errors import DivergedError, UsageError, field
from fewshot.training import checkpoints
from gan.recipe import GanRecipe

FORMAT = 1
TRACES = ("discriminator loss", "discriminator accuracy", "generator loss", "fooled")  # of every update
STRETCH = 2.0  # seconds of updates in one call: Ctrl-C waits for no more


def identity(recipe: GanRecipe, images: Dataset, seed: int) -> dict:
    """Return all that determines what training yields, as JSON."""
    content = hashlib.sha256(np.ascontiguousarray(images.x))
    content.update(np.ascontiguousarray(images.y))
    return {
        "recipe": recipe.describe(),
        "images": [*images.x.shape, content.hexdigest()],
        "classes": len(images.classes),
        "seed": seed,
        "computer": backend.started(),
    }


class Run:
    """One training by a recipe on compact images (`Dataset.compact`). Needs `fewshot.backend.start` before.

    One run at a time uses the process's engine: begin another, and this one is over.
    """

    def __init__(self, recipe: GanRecipe, images: Dataset, seed: int):
        from gan.engine import compiled

        self.images, self._recipe, self._seed = images, recipe, seed
        self.engine = compiled(recipe, images.image_shape, len(images.classes))
        self.engine.reset(seed)
        self.total, self.done, self.seconds = recipe.steps(len(images)), 0, 0.0
        self.traces = np.zeros((0, len(TRACES)), np.float32)
        self._placed = self.engine.place(images)
        self._pace = 1  # updates a call; the first one compiles

    def advance(self, until: int):
        """Make updates up to the `until`-th, and yield after every call; `DivergedError` for a NaN loss."""
        recipe, n = self._recipe, len(self.images)
        while self.done < until:
            begin, first = time.perf_counter(), self.done
            steps = range(first, min(until, first + self._pace))
            batches = [recipe.batch_at(step, n, self._seed) for step in steps]
            traces = self.engine.run(self._placed, batches, first)
            self.traces = np.concatenate([self.traces, np.transpose(traces)])
            self.done = steps.stop
            spent = time.perf_counter() - begin
            self.seconds += spent
            if first:
                self._pace = max(1, round(len(steps) * STRETCH / spent))
            yield

    def weights(self) -> list[np.ndarray]:
        """Return the generator's values, weights averaged."""
        with self.engine.averaged():
            return [variable.numpy() for variable in self.engine.generator.variables]

    def sample(self, latents: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return images of the generator as it stands, weights averaged."""
        with self.engine.averaged():
            return self.engine.sample(latents, labels)

    def save(self, path: Path, log: list[dict]) -> None:
        """Write a checkpoint, `log` with it; the one before stays until this one is whole."""
        state = self.engine.state()
        if not all(np.isfinite(array).all() for array in state):
            raise DivergedError(f"a weight was no longer finite after update {self.done}")
        note = self._meta() | {"done": self.done, "seconds": self.seconds, "log": log}
        checkpoints.save(path, note, {"traces": self.traces, **checkpoints.numbered(state)})

    def resume(self, path: Path) -> list[dict]:
        """Resume from a checkpoint and return its log; `UsageError` where it is of another run."""
        meta, arrays = checkpoints.load(path)
        traces = arrays.pop("traces", self.traces)
        differs = _difference(meta, self._meta())
        if differs:
            raise UsageError(
                f"{path} is the checkpoint of another run ({differs}): "
                f"use another {field('out')}, or {field('fresh', True)}"
            )
        try:
            self.engine.restore(checkpoints.in_order(arrays))
        except ValueError as error:
            raise UsageError(
                f"{path} holds {error}: use another {field('out')}, or {field('fresh', True)}"
            ) from error
        self.done, self.seconds, self.traces = meta["done"], meta["seconds"], traces
        return meta["log"]

    def _meta(self) -> dict:
        whole = {"format": FORMAT, **identity(self._recipe, self.images, self._seed)}
        return json.loads(json.dumps(whole))


def _difference(kept: dict, wanted: dict) -> str:
    """Return in words where two descriptions differ first, or nothing."""
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(kept.get(key), dict):
            if differs := _difference(kept[key], value):
                return differs
        elif kept.get(key) != value:
            return f"{key}: {kept.get(key)}, not {value}"
    return ""


def marks(total: int, every: int) -> list[int]:
    """Return the updates after which pictures and checkpoints are made: every so many, and the last."""
    return [*range(every, total, every), total]


def separate(recipe: GanRecipe, images: Dataset) -> list[Dataset]:
    """Return what each generator of the recipe is trained on: each class alone, or all images."""
    if recipe.labels != "separate":
        return [images]
    return [
        Dataset(images.x[images.y == label], np.zeros((images.y == label).sum(), np.int64), (name,))
        for label, name in enumerate(images.classes)
    ]
