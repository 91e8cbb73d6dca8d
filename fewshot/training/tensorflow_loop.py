"""The inner loop on TensorFlow: a `tf.function` that runs a whole stretch of updates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from fewshot import backend
from fewshot.training.player import Player


class Loop:
    """Runs updates of players, one after the other in each, on placed arrays.

    state: what objectives change beside the weights (statistics, seed generators); TensorFlow keeps it.
    """

    def __init__(self, players: Sequence[Player], state):
        self._players = players
        self._driven = [variable for player in players for variable in player.driven]
        self._compiled = {}

    def place(self, arrays):
        """Return arrays as tensors in the backend's memory."""
        with backend.setting_up():
            return tuple(tf.constant(array) for array in arrays)

    def run(self, placed, batches: list[np.ndarray], rates: np.ndarray) -> list[np.ndarray]:
        """Make one update a batch; return what each player measured: its losses, its scores, the next's.

        rates: the learning rates, and what else players are given, float32 (updates, columns).
        """
        bounds = np.cumsum([0, *map(len, batches)], dtype=np.int32)
        index = tf.constant(np.concatenate(batches))
        return [trace.numpy() for trace in self._graph(placed)(placed, index, bounds, rates)]

    def _graph(self, placed):
        """Return the compiled function for these kinds of arrays, whatever their length."""
        kinds = tuple(tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in placed)
        if kinds not in self._compiled:
            vector = tf.TensorSpec([None], tf.int32)
            signature = [kinds, vector, vector, tf.TensorSpec([None, len(self._driven)], tf.float32)]
            graph = tf.function(self._updates, signature, autograph=False)
            with backend.setting_up():
                self._compiled[kinds] = graph.get_concrete_function()
        return self._compiled[kinds]

    def _updates(self, placed, index, bounds, rates):
        count = tf.shape(rates)[0]

        def update(step, *traces):
            batch = index[bounds[step] : bounds[step + 1]]
            measured = []
            for column, variable in enumerate(self._driven):
                variable.assign(rates[step, column])
            for player in self._players:
                with tf.GradientTape() as tape:
                    loss, score = player.objective(placed, batch)
                    scaled = loss if player.loss_scale == 1 else loss * player.loss_scale
                gradients = player.unscaled(tape.gradient(scaled, player.weights))
                player.optimizer.apply(gradients, player.weights)
                if player.after:
                    player.after()
                measured += [loss, score]
            written = (trace.write(step, value) for trace, value in zip(traces, measured, strict=True))
            return step + 1, *written

        empty = [tf.TensorArray(tf.float32, count) for _ in range(2 * len(self._players))]
        _, *traces = tf.while_loop(lambda step, *_: step < count, update, (0, *empty))
        return [trace.stack() for trace in traces]
