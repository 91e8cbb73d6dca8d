"""The engine: one compiled network per process, reused for every seed; its inner loop runs in the graph.

Time goes where Python stands in the loop. So the training images are placed in memory once, an update
takes the positions of its batch and no more, and a whole stretch of updates is one call of the backend's
loop (`tensorflow_loop`, `jax_loop`: one small interface, one file per backend). For a new seed nothing is
traced again: weights are drawn anew, and the optimiser's slots and all seed generators are reset.

Import this after `fewshot.backend.start`.
"""

import functools
import itertools

import numpy as np
from keras import ops

from fewshot import backend, metrics
from fewshot.augment import online
from fewshot.augment.expand import Examples
from fewshot.curves import Curve, Trace
from fewshot.data.dataset import Dataset
from fewshot.engine import optimizers
from fewshot.engine.player import Player, assign, loop, values
from fewshot.models import build
from fewshot.recipe import Recipe
from fewshot.seeding import rng, seed_globally, stream_seed

STRETCH = 200  # updates a call: Ctrl-C waits for no more
PREDICT_BATCH = 350


def compiled(network: str, recipe: Recipe, shape: tuple[int, int, int], outputs: int) -> "Engine":
    """Return this process's engine for a network, what an update takes of a recipe, and the shapes."""
    return _compiled(network, recipe.compiled(), shape, outputs)


class Engine:
    """A network and its optimiser, compiled once, and `loop`, the backend's. Made by `compiled`."""

    def __init__(self, network: str, recipe: Recipe, shape: tuple[int, int, int], outputs: int):
        self._recipe = recipe
        self._build = functools.partial(build, network, shape, outputs)
        self.network = self._build()
        self._policy = online.build(recipe.policy)
        self.optimizer = optimizers.make(recipe)
        player = Player(self._objective, self.network.trainable_variables, self.optimizer)
        self._slots = values(self.optimizer.variables)
        state = [v for layer in self._policy for v in layer.variables]
        self.loop = loop([player], self.network.non_trainable_variables + state)
        self._forward = backend.compile_forward(self.network, ops.softmax)

    @property
    def parameters(self) -> int:
        """The number of trainable weights."""
        return sum(int(np.prod(v.shape)) for v in self.network.trainable_variables)

    def reset(self, seed: int) -> None:
        """Draw the weights of `seed`; reset the optimiser and every seed generator of the network."""
        seed_globally(seed)  # the weights of `torch.manual_seed(seed)`: see TorchUniform
        self.load(self._build().variables)
        assign(self.optimizer.variables, self._slots)
        seed_globally(stream_seed(seed, "online"))
        for layer, fresh in zip(self._policy, online.build(self._recipe.policy), strict=True):
            assign(layer.variables, fresh.variables)

    def weights(self) -> list[np.ndarray]:
        """Return the values of all the network's variables."""
        return values(self.network.variables)

    def network_with(self, weights):
        """Return a new network, not the engine's own, with such weights."""
        network = self._build()
        assign(network.variables, weights)
        return network

    def load(self, weights) -> None:
        """Assign values, as `weights` returns them, to the network's variables."""
        assign(self.network.variables, weights)

    def fit(self, examples: Examples, recipe: Recipe, seed: int, watch: Dataset | None = None) -> Curve:
        """Train from the weights of `seed`; return the learning curve.

        recipe: one that the engine was compiled for; rates, batches and the length of training are its own.

        Training loss and accuracy are as the updates saw them; `watch` is evaluated at the curve's points.
        Raises `DivergedError` at the first loss that is no number.
        """
        self.reset(seed)
        placed = self.loop.place(arrays(examples))
        trace = Trace(recipe.steps(len(examples)), recipe.epoch_steps(len(examples)))
        batches = recipe.batches(len(examples), rng(seed, "shuffle"), examples.views)
        rates = recipe.rates(len(examples))[:, None]
        stops = {*range(STRETCH, trace.updates, STRETCH), trace.updates, *(trace.points if watch else [])}
        for stop in sorted(stops):
            done = len(trace)
            stretch = list(itertools.islice(batches, stop - done))
            losses, hits = self.loop.run(placed, stretch, rates[done:stop])
            trace.add(losses, hits, map(len, stretch))
            if watch and stop in trace.points:
                trace.watch(self._evaluate(watch))
        self._average()
        return trace.curve()

    def _evaluate(self, watch: Dataset) -> dict:
        """Measure on `watch` what training would end with here."""
        running = self.weights()
        self._average()
        measured = metrics.measure(self.predict(watch.x), watch.y)
        self.load(running)
        return measured

    def _average(self) -> None:
        """Take the moving average of the weights, where the recipe keeps one."""
        if self._recipe.ema:
            self.optimizer.finalize_variable_values(self.network.trainable_variables)

    def _objective(self, placed, index):
        """Return a batch's mean cross-entropy and its number of right answers (runs in the graph)."""
        x, y = batch(placed, index)
        for layer in self._policy:
            x, y = layer(x, y)
        logits = self.network(x, training=True)
        smooth = self._recipe.label_smoothing
        target = (1 - smooth) * y + smooth / y.shape[-1]
        loss = ops.mean(ops.categorical_crossentropy(target, logits, from_logits=True))
        hits = ops.sum(ops.cast(ops.argmax(logits, -1) == ops.argmax(y, -1), "float32"))
        return loss, hits

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities, float32 (N, outputs), of images (uint8) or features (float32)."""
        batches = (x[i : i + PREDICT_BATCH] for i in range(0, len(x), PREDICT_BATCH))
        return np.concatenate([self._forward(batch.astype(np.float32)) for batch in batches])


_compiled = functools.lru_cache(maxsize=32)(Engine)  # a study may have as many methods, and goes seed by seed


def arrays(examples: Examples) -> tuple[np.ndarray, ...]:
    """Return what `batch` reads: images and targets and, where images are averaged, pairs and shares."""
    mixing = () if examples.pairs is None else (examples.pairs, examples.share)
    return examples.x, examples.targets, *mixing


def batch(placed, index):
    """Return images (float) and label distributions at `index`, averaged in pairs where there are pairs."""
    images, targets, *mixing = placed
    if not mixing:
        return ops.cast(ops.take(images, index, axis=0), "float32"), ops.take(targets, index, axis=0)
    pairs, share = mixing
    pair, share = ops.take(pairs, index, axis=0), ops.take(share, index, axis=0)[:, None]
    x, second = (ops.cast(ops.take(images, pair[:, side], axis=0), "float32") for side in (0, 1))
    y, other = (ops.take(targets, pair[:, side], axis=0) for side in (0, 1))
    return (x + second) / 2, y + share * (other - y)
