"""The engine: both networks compiled once a process, their turns in one graph, state that can be kept.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

import contextlib
import functools

import keras
import numpy as np
from keras import ops, random

from fewshot import backend
from fewshot.augment import online
from fewshot.data.dataset import Dataset
from fewshot.errors import DivergedError
from fewshot.models.cost import check_training, outlined
from fewshot.seeding import seed_globally, stream_seed
from fewshot.training.player import Player, assign, loop, values
from gan.networks import build, to_images
from gan.recipe import GanRecipe


class Engine:
    """A generator and a discriminator for images of one shape and, where conditional, so many classes."""

    def __init__(self, recipe: GanRecipe, shape: tuple[int, int, int], classes: int):
        self._recipe = recipe
        self._labels = classes if recipe.labels == "conditional" else 0
        self._build = functools.partial(build, recipe.architecture, shape, self._labels)
        self._check_room(shape)
        self.generator, self.discriminator = self._build()
        self.latent = self.generator.inputs[0].shape[-1]
        self._policy = online.build(recipe.online)
        self._seed = random.SeedGenerator(0)
        self._players = [
            Player(self._discriminate, self.discriminator.trainable_variables, self._adam()),
            Player(self._generate, self.generator.trainable_variables, self._adam(recipe.ema)),
        ]
        self._slots = [values(player.optimizer.variables) for player in self._players]
        self._loop = loop(self._players, self._state())
        self._forward = backend.compile_forward(self.generator)

    def _check_room(self, shape: tuple[int, int, int]) -> None:
        """Raise `NoRoom` where training would take more memory than there is; nothing is allocated."""
        recipe, (height, width, _) = self._recipe, shape
        for network in outlined(self._build):
            what = f"training a {network.name} '{recipe.architecture}' for images of {height:,}×{width:,}"
            check_training(network, max(2 * recipe.batch, recipe.fakes), what)

    def _adam(self, ema: float = 0.0):
        average = {"use_ema": True, "ema_momentum": ema} if ema else {}
        return keras.optimizers.Adam(1.0, beta_1=self._recipe.beta, **average)  # the loop sets the rate

    def _state(self):
        """Return what changes beside weights and slots: statistics, directions, seed generators."""
        networks = self.generator.non_trainable_variables + self.discriminator.non_trainable_variables
        return [*networks, *(v for layer in self._policy for v in layer.variables), self._seed.state]

    def _variables(self):
        """Return all that training changes."""
        networks = self.generator.variables + self.discriminator.variables
        layers = [v for layer in self._policy for v in layer.variables]
        slots = [v for player in self._players for v in player.optimizer.variables]
        return [*networks, *layers, self._seed.state, *slots]

    def reset(self, seed: int) -> None:
        """Begin anew with the weights and the draws of `seed`."""
        seed_globally(stream_seed(seed, "gan"))
        for network, fresh in zip((self.generator, self.discriminator), self._build(), strict=True):
            assign(network.variables, values(fresh.variables))
        for layer, fresh in zip(self._policy, online.build(self._recipe.online), strict=True):
            assign(layer.variables, values(fresh.variables))
        self._seed.state.assign(random.SeedGenerator(stream_seed(seed, "latents")).state)
        for player, slots in zip(self._players, self._slots, strict=True):
            assign(player.optimizer.variables, slots)

    def state(self) -> list[np.ndarray]:
        """Return all that training has changed: with it, training resumes as if it had not stopped."""
        return values(self._variables())

    def restore(self, state: list[np.ndarray]) -> None:
        """Go back to a `state`; `ValueError` where its arrays are not those of these networks."""
        variables = self._variables()
        if [array.shape for array in state] != [tuple(variable.shape) for variable in variables]:
            raise ValueError("arrays of another architecture")
        assign(variables, state)

    def place(self, images: Dataset):
        """Return the training images and their one-hot labels in the backend's memory."""
        targets = np.eye(len(images.classes), dtype=np.float32)[images.y]
        return self._loop.place([images.x, targets])

    def run(self, placed, batches: list[np.ndarray], first: int) -> list[np.ndarray]:
        """Make one update of both networks a batch, from update `first` on; return `gan.training.TRACES`.

        Raises `DivergedError` at the first loss that is no number.
        """
        recipe = self._recipe
        rates = np.tile(np.float32([recipe.discriminator_rate, recipe.learning_rate]), (len(batches), 1))
        traces = self._loop.run(placed, batches, rates)
        broken = ~np.isfinite(traces).all(0)
        if broken.any():
            raise DivergedError(f"a loss was no longer finite at update {first + int(broken.argmax()) + 1}")
        return traces

    @contextlib.contextmanager
    def averaged(self):
        """Within the block, the generator has the moving average of its weights, if the recipe keeps one."""
        running = values(self.generator.trainable_variables)
        if self._recipe.ema:
            self._players[1].optimizer.finalize_variable_values(self.generator.trainable_variables)
        yield
        assign(self.generator.trainable_variables, running)

    def sample(self, latents: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return images, uint8, of latents (N, latent) and labels (N,), by the generator as it stands."""
        inputs = [latents]
        if self._labels:
            inputs.append(np.eye(self._labels, dtype=np.float32)[labels])
        return to_images(self._forward, *inputs)

    # The objectives run in the graph.

    def _discriminate(self, placed, index):
        images, targets = placed
        x = ops.cast(ops.take(images, index, axis=0), "float32")
        y = ops.take(targets, index, axis=0)
        fake, fake_y = self._fakes(self._recipe.batch, y)
        both = ops.concatenate([x, fake], 0), ops.concatenate([y, fake_y], 0)
        logits = self._judge(*both)
        real, fake = logits[: self._recipe.batch], logits[self._recipe.batch :]
        if self._recipe.loss == "hinge":
            loss = (ops.mean(ops.relu(1 - real)) + ops.mean(ops.relu(1 + fake))) / 2
        else:
            loss = (ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))) / 2
        right = ops.mean(ops.cast(real > 0, "float32")) + ops.mean(ops.cast(fake < 0, "float32"))
        return loss, right / 2

    def _generate(self, placed, index):
        _, targets = placed
        logits = self._judge(*self._fakes(self._recipe.fakes, ops.take(targets, index, axis=0)))
        loss = -ops.mean(logits) if self._recipe.loss == "hinge" else ops.mean(ops.softplus(-logits))
        return loss, ops.mean(ops.cast(logits > 0, "float32"))

    def _fakes(self, count, y):
        """Return so many generated images and their labels: those of the batch, over and over."""
        y = ops.take(y, ops.arange(count) % self._recipe.batch, axis=0)
        latents = random.normal((count, self.latent), seed=self._seed)
        return self.generator([latents, y] if self._labels else latents, training=True), y

    def _judge(self, x, y):
        for layer in self._policy:
            x, y = layer(x, y)
        return self.discriminator([x, y] if self._labels else x, training=True)[:, 0]


compiled = functools.lru_cache(maxsize=4)(Engine)
