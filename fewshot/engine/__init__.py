"""The engine: one compiled network per process, reused for every seed; its inner loop runs in the graph.

Time goes where Python stands in the loop. So the training images are placed in memory once, an update
takes the positions of its batch and no more, and a whole stretch of updates is one call of the backend's
loop (`tensorflow_loop`, `jax_loop`: one small interface, one file per backend). For a new seed nothing is
traced again: weights are drawn anew, and the optimiser's slots and all seed generators are reset.

Import this after `fewshot.backend.start`.
"""

import functools
import importlib
import itertools
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import ops

from fewshot import backend
from fewshot.augment.expand import Examples
from fewshot.data.dataset import Dataset
from fewshot.engine.optimizers import CoupledSGD
from fewshot.errors import DivergedError
from fewshot.models import build
from fewshot.recipe import Recipe
from fewshot.seeding import rng

POINTS = 20  # learning curves have about so many points
STRETCH = 200  # updates a call: Ctrl-C waits for no more
PREDICT_BATCH = 350


@dataclass
class Curve:
    """A learning curve: losses, and accuracies in percent, after so many updates."""

    update: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)
    held_out_accuracy: list[float] = field(default_factory=list)


@functools.lru_cache(maxsize=8)
def compiled(network: str, recipe: Recipe, shape: tuple[int, int, int], outputs: int) -> "Engine":
    """Return this process's engine for a network, a recipe and the shapes of the data."""
    return Engine(network, recipe, shape, outputs)


class Engine:
    """A network and its optimiser, compiled once. Made by `compiled`."""

    def __init__(self, network: str, recipe: Recipe, shape: tuple[int, int, int], outputs: int):
        self.recipe = recipe
        self._build = functools.partial(build, network, shape, outputs)
        self.network = self._build()
        self.optimizer = CoupledSGD(recipe.learning_rate, recipe.momentum, recipe.weight_decay)
        self.optimizer.build(self.network.trainable_variables)
        self._slots = [ops.convert_to_numpy(slot) for slot in self.optimizer.variables]
        loop = importlib.import_module(f"fewshot.engine.{backend.name()}_loop")
        self._loop = loop.Loop(self.network, self.optimizer, _objective, shape)

    def reset(self, seed: int) -> None:
        """Draw the weights of `seed`; reset the optimiser and every seed generator of the network."""
        keras.utils.set_random_seed(seed)  # the weights of `torch.manual_seed(seed)`: see TorchUniform
        self.load(self._build().variables)
        for variable, value in zip(self.optimizer.variables, self._slots, strict=True):
            variable.assign(value)

    def weights(self) -> list[np.ndarray]:
        """Return the values of all the network's variables."""
        return [ops.convert_to_numpy(variable) for variable in self.network.variables]

    def load(self, values) -> None:
        """Assign values, as `weights` returns them, to the network's variables."""
        for variable, value in zip(self.network.variables, values, strict=True):
            variable.assign(value)

    def fit(self, examples: Examples, seed: int, watch: Dataset | None = None) -> Curve:
        """Train from the weights of `seed`; return the learning curve.

        Training loss and accuracy are means over the last epoch before each point, as the updates saw
        them. `watch` is evaluated at the same points. Raises `DivergedError` at the first loss that is
        no number.
        """
        self.reset(seed)
        placed = self._loop.place(examples)
        steps = self.recipe.steps(len(examples))
        batches = self.recipe.batches(len(examples), rng(seed, "shuffle"))
        rates = self.recipe.rates(steps)
        curve, done = Curve(), 0
        for end in np.unique(np.linspace(0, steps, POINTS + 1).round().astype(int))[1:]:
            trace = np.empty((0, 3))
            while done < end:
                stretch = list(itertools.islice(batches, min(end - done, STRETCH)))
                losses, hits = self._loop.run(placed, stretch, rates[done : done + len(stretch)])
                if not np.isfinite(losses).all():
                    first = done + int(np.flatnonzero(~np.isfinite(losses))[0]) + 1
                    raise DivergedError(f"the loss was no longer finite at update {first} of {steps}")
                done += len(stretch)
                trace = np.vstack([trace, np.column_stack([losses, hits, [*map(len, stretch)]])])
            losses, hits, sizes = trace[-self.recipe.epoch_steps(len(examples)) :].T
            curve.update.append(done)
            curve.loss.append(float(np.average(losses, weights=sizes)))
            curve.accuracy.append(float(100 * hits.sum() / sizes.sum()))
            if watch is not None:
                chosen = self.predict(watch.x)
                likelihood = chosen[np.arange(len(watch)), watch.y]
                curve.held_out_loss.append(float(-np.log(np.maximum(likelihood, 1e-12)).mean()))
                curve.held_out_accuracy.append(float(100 * (chosen.argmax(1) == watch.y).mean()))
        return curve

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities, float32 (N, outputs), of uint8 images."""
        parts = [self._loop.predict(x[i : i + PREDICT_BATCH]) for i in range(0, len(x), PREDICT_BATCH)]
        return np.concatenate(parts)


def _objective(network, placed, index):
    """Return a batch's mean cross-entropy and its number of right answers (runs in the graph)."""
    images, targets = placed
    x = ops.cast(ops.take(images, index, axis=0), "float32")
    y = ops.take(targets, index, axis=0)
    logits = network(x, training=True)
    loss = ops.mean(ops.categorical_crossentropy(y, logits, from_logits=True))
    hits = ops.sum(ops.cast(ops.argmax(logits, -1) == ops.argmax(y, -1), "float32"))
    return loss, hits
