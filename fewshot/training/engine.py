"""The engine: one compiled network per process, reused for every seed; its inner loop runs in the graph.

Time goes where Python stands in the loop. So the training images are placed in memory once, an update
takes the positions of its batch and no more, and a whole stretch of updates is one call of the backend's
loop (`tensorflow_loop`, `jax_loop`: one small interface, one file per backend). For a new seed nothing is
traced again: weights are drawn anew, and the optimiser's slots and all seed generators are reset.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from fewshot import backend
from fewshot.augment import online
from fewshot.augment.offline import Examples
from fewshot.data.dataset import Dataset
from fewshot.errors import FewshotError, UsageError, field
from fewshot.models import build, networks
from fewshot.models.layers import Whiten
from fewshot.models.views import over_views
from fewshot.seeding import rng, seed_globally, stream_seed
from fewshot.stats import metrics
from fewshot.training import checkpoints, optimizers
from fewshot.training.curves import Curve, Trace
from fewshot.training.lookahead import Lookahead
from fewshot.training.player import Player, assign, loop, values
from fewshot.training.recipe import Recipe

STRETCH = 200  # updates a call: Ctrl-C waits for no more
PREDICT_BATCH = 350
PREDICT_PIXELS = 2000 * 32 * 32  # of a batch of small images, where a GPU predicts
LOSS_SCALE = 1024.0  # of half precision
KEPT_EVERY = 60.0  # seconds between checkpoints


def compiled(
    network: str, recipe: Recipe, shape: tuple[int, int, int], outputs: int, last: int = 0
) -> Engine:
    """Return this process's engine for a network, what an update takes of a recipe, and the shapes.

    last: only so many of the last layers with weights are trained; 0, all.
    """
    code = (  # what a user registers anew under the same name is compiled anew
        networks.version(network),
        tuple(online.versions(recipe.online).items()),
        optimizers.optimizers[recipe.optimizer].version,
    )
    with backend.setting_up():
        return _compiled(code, network, recipe.compiled(), shape, outputs, last)


class Engine:
    """A network and its optimiser, compiled once, and `loop`, the backend's. Made by `compiled`."""

    def __init__(self, network: str, recipe: Recipe, shape: tuple[int, int, int], outputs: int, last: int):
        self._recipe = recipe
        self._build = functools.partial(_build, recipe.precision, network, shape, outputs)
        self.network = self._build()
        _freeze(self.network, last)
        self._policy = online.build(recipe.online)
        self._in_turn = any(layer.in_turn for layer in self._policy)
        self.optimizer = optimizers.make(recipe)
        self._lookahead = Lookahead(self.network.variables) if recipe.lookahead else None
        ahead, given = self._lookahead, getattr(self.optimizer, "given", [])
        player = Player(
            self._objective,
            self.network.trainable_variables,
            self.optimizer,
            given=[*given, ahead.share] if ahead else given,
            after=ahead and ahead.step,
            loss_scale=LOSS_SCALE if recipe.precision == "float16" else 1.0,
        )
        self._slots = values(self.optimizer.variables)
        self._beside = [v for layer in self._policy for v in layer.variables]
        self._beside += ahead.variables if ahead else []
        self.loop = loop([player], self.network.non_trainable_variables + self._beside)
        self._forwards = {(0, False): backend.compile_forward(self.network, _probabilities)}

    @property
    def parameters(self) -> int:
        """The number of trainable weights."""
        return sum(int(np.prod(v.shape)) for v in self.network.trainable_variables)

    def reset(
        self,
        seed: int,
        start: list[list[np.ndarray]] | None = None,
        head: Sequence[np.ndarray] | None = None,
    ) -> None:
        """Draw the weights of `seed`; reset the optimiser and every seed generator of the network.

        start: the weights that every layer but the last begins with instead. head: those of the last.
        """
        with backend.setting_up():
            seed_globally(seed)  # the weights of `torch.manual_seed(seed)`: see TorchUniform
            self.load(self._build().variables)
        for layer, given in zip(_weighted(self.network)[:-1], [w for w in start or [] if w], strict=False):
            layer.set_weights(given)
        if head is not None:
            _weighted(self.network)[-1].set_weights(head)
        assign(self.optimizer.variables, self._slots)
        seed_globally(stream_seed(seed, "online"))
        for layer, fresh in zip(self._policy, online.build(self._recipe.online), strict=True):
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

    def fit(
        self,
        examples: Examples,
        recipe: Recipe,
        seed: int,
        watch: Dataset | None = None,
        checkpoint: Path | None = None,
        start: list[list[np.ndarray]] | None = None,
        head: Sequence[np.ndarray] | None = None,
    ) -> Curve:
        """Train from the weights of `seed`, or those to start with; return the learning curve.

        recipe: one that the engine was compiled for; rates, batches and the length of training are its own.
        checkpoint: a file that the training is kept in along the way, and resumes from where there is one.

        Training loss and accuracy are as the updates saw them; `watch` is evaluated at the curve's points.
        Raises `DivergedError` at the first loss that is no number.
        """
        self.begin(examples, seed, start, head)
        self.seconds_before = 0.0
        placed = self.loop.place(arrays(examples))
        epoch = recipe.epoch_steps(len(examples))
        trace = Trace(recipe.steps(len(examples)), epoch)
        if checkpoint and checkpoint.exists():
            self._resume(checkpoint, trace, watch is not None)
        batches = itertools.islice(self.batches(examples, recipe, seed), len(trace), None)
        given = recipe.given(len(examples))
        stops = {*_stretches(epoch, trace.updates), trace.updates, *(trace.points if watch else [])}
        begin = kept = time.monotonic()
        for stop in sorted(stop for stop in stops if stop > len(trace)):
            done = len(trace)
            stretch = list(itertools.islice(batches, stop - done))
            losses, correct = self._run(placed, stretch, given[done:stop])
            trace.add(losses, correct, map(len, stretch))
            if watch and stop in trace.points:
                trace.watch(self._evaluate(watch))
            if checkpoint and (time.monotonic() - kept > KEPT_EVERY or stop == trace.updates):
                kept = time.monotonic()
                self._keep(checkpoint, trace, self.seconds_before + kept - begin)
        self.average()
        return trace.curve()

    def begin(
        self,
        examples: Examples,
        seed: int,
        start: list[list[np.ndarray]] | None = None,
        head: Sequence[np.ndarray] | None = None,
    ) -> None:
        """Reset, and show the examples to the layers that look at them before the first update."""
        self.reset(seed, start, head)
        for layer in self.network.layers if start is None else ():
            if isinstance(layer, Whiten):
                layer.adapt(examples.x)
        if self._lookahead:
            self._lookahead.start()

    def batches(self, examples: Examples, recipe: Recipe, seed: int) -> Iterator[np.ndarray]:
        """Yield endless batches of positions of the examples, as the loop takes them."""
        n = len(examples)
        turned = rng(seed, "turns").random(n) < 0.5 if self._in_turn else None
        return recipe.batches(n, rng(seed, "shuffle"), examples.views, turned)

    def _run(self, placed, stretch: list[np.ndarray], given: np.ndarray) -> list[np.ndarray]:
        """Make a stretch of updates; `UsageError` where a batch does not fit the device's memory."""
        try:
            return self.loop.run(placed, stretch, given)
        except Exception as error:
            if not backend.is_out_of_memory(error):
                raise
            fits = self._largest(placed, stretch[0], given[:1])
            advice = f"take batch={fits}, which does" if fits else "not even one image does"
            raise UsageError(
                f"a batch of {len(stretch[0])} does not fit the device's memory: {advice}, or use a smaller "
                "network"
            ) from error

    def _largest(self, placed, batch: np.ndarray, given: np.ndarray) -> int:
        """Return the largest half, quarter, … of a batch that fits; 0 where not even one image does."""
        size = len(batch) // 2
        while size:
            try:
                self.loop.run(placed, [batch[:size]], given)
            except Exception as error:
                if not backend.is_out_of_memory(error):
                    raise
                size //= 2
            else:
                return size
        return 0

    def _state(self) -> list:
        """Return the variables that a training changes."""
        return [*self.network.variables, *self.optimizer.variables, *self._beside]

    def _keep(self, path: Path, trace: Trace, seconds: float) -> None:
        note, seen = trace.state()
        note["seconds"] = seconds
        checkpoints.save(path, note, {"seen": seen, **checkpoints.numbered(values(self._state()))})

    def _resume(self, path: Path, trace: Trace, watched: bool) -> None:
        """Resume from a checkpoint, unless it lacks the points of the curve that is asked for."""
        note, saved = checkpoints.load(path)
        seen, state = saved.pop("seen", None), checkpoints.in_order(saved)
        if seen is None or [v.shape for v in state] != [tuple(v.shape) for v in self._state()]:
            raise FewshotError(
                f"the checkpoint {path} is of another network: delete it, or use {field('fresh', True)}"
            )
        if trace.restore(note, seen, watched):
            self.seconds_before = note["seconds"]
            assign(self._state(), state)

    def _evaluate(self, watch: Dataset) -> dict:
        """Measure on `watch` what training would end with here."""
        running = self.weights()
        self.average()
        measured = metrics.measure(self.predict(watch.x), watch.y)
        self.load(running)
        return measured

    def average(self) -> None:
        """Take the moving average of the weights, or lookahead's slow ones, where the recipe keeps them."""
        if self._lookahead:
            self._lookahead.finish()
        if self._recipe.ema:
            self.optimizer.finalize_variable_values(self.network.trainable_variables)

    def _objective(self, placed, index):
        """Return a batch's mean cross-entropy and its number of right answers (runs in the graph)."""
        turned = None
        if self._in_turn:
            n = ops.shape(placed[0] if len(placed) == 2 else placed[2])[0]
            index, turned = index % n, index >= n
        x, y = batch(placed, index)
        for layer in self._policy:
            x, y = layer.apply(x, y, turned) if layer.in_turn else layer(x, y)
        logits = ops.cast(self.network(x, training=True), "float32")
        smooth = self._recipe.label_smoothing
        target = (1 - smooth) * y + smooth / y.shape[-1]
        loss = ops.mean(ops.categorical_crossentropy(target, logits, from_logits=True))
        correct = ops.sum(ops.cast(ops.argmax(logits, -1) == ops.argmax(y, -1), "float32"))
        return loss, correct

    def predict(self, x: np.ndarray, shift: int = 0, flip: bool = False) -> np.ndarray:
        """Return class probabilities, float32 (N, outputs), of images (uint8) or features (float32).

        shift, flip: their logits averaged over views of the images (`fewshot.models.views.over_views`).
        """
        if (shift, flip) not in self._forwards:
            with backend.setting_up():
                views = over_views(self.network, shift, flip)
                self._forwards[shift, flip] = backend.compile_forward(views, _probabilities)
        forward, size = self._forwards[shift, flip], PREDICT_BATCH
        if backend.started()[1] != "cpu" and x.ndim == 4:
            size = max(size, PREDICT_PIXELS // (x.shape[1] * x.shape[2]))
        batches = (x[i : i + size] for i in range(0, len(x), size))
        return np.concatenate([forward(batch.astype(np.float32)) for batch in batches])


def _probabilities(logits):
    """Return the softmax of logits, in float32."""
    return ops.softmax(ops.cast(logits, "float32"))


def _build(precision: str, network: str, shape: tuple[int, int, int], outputs: int):
    """Return a new network whose layers compute in a precision."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        return build(network, shape, outputs)
    finally:
        keras.config.set_dtype_policy(policy)


def _weighted(network) -> list:
    """Return the layers that have weights."""
    return [layer for layer in network.layers if layer.weights]


def _freeze(network, last: int) -> None:
    """Leave only the last layers to be trained, so many of them; 0: all."""
    layers = _weighted(network)
    if last > len(layers):
        raise UsageError(f"the network has {len(layers)} layers with weights. Received: last={last}")
    for layer in layers[:-last] if last else []:
        layer.trainable = False


def _stretches(epoch: int, updates: int) -> range:
    """Return after which updates a call of the loop ends; on a GPU it is a number of whole epochs.

    There a call is compiled anew for each number of equal batches.
    """
    whole = backend.started()[1] != "cpu"
    length = -(-STRETCH // epoch) * epoch if whole else STRETCH
    return range(length, updates, length)


@functools.lru_cache(maxsize=32)  # a study may have as many methods, and goes seed by seed
def _compiled(code: tuple, *arguments) -> Engine:
    """Return the engine for code of these versions."""
    return Engine(*arguments)


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
