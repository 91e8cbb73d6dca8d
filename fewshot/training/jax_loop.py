"""The inner loop on JAX: a jitted update, called step by step on the CPU, scanned on a GPU.

XLA's convolutions on the CPU are slow inside its loops, so there Python keeps the loop; on a GPU a run of
equal batches is one `jax.lax.scan`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fewshot import backend
from fewshot.training.player import Player


class Loop:
    """Runs updates of players, one after the other in each, on placed arrays.

    state: what objectives change beside the weights (statistics, seed generators).
    """

    def __init__(self, players: Sequence[Player], state):
        self._players, self._state = players, list(state)
        driven = [variable for player in players for variable in player.driven]
        self._columns = {id(variable): column for column, variable in enumerate(driven)}
        self._together = backend.Ahead(self._scan_together, donate_argnums=0)
        if jax.default_backend() == "cpu":
            self._step = backend.Ahead(self._update, donate_argnums=0)
            self._stretch = self._one_by_one
        else:
            self._stretch = backend.Ahead(self._scan, donate_argnums=0)

    def place(self, arrays):
        """Return arrays in the backend's memory."""
        with backend.setting_up():
            return jax.block_until_ready(tuple(jnp.asarray(array) for array in arrays))

    def run(self, placed, batches: list[np.ndarray], rates: np.ndarray) -> list[np.ndarray]:
        """Make one update a batch; return what each player measured: its losses, its scores, the next's.

        rates: the learning rates, and what else players are given, float32 (updates, columns).
        """
        values, parts, done = self.values(), [], 0
        for _, equal in itertools.groupby(batches, key=len):
            index = _spread(np.stack(list(equal)))
            values, measured = self._stretch(values, placed, (index, rates[done : done + len(index)]))
            parts.append(measured)
            done += len(index)
        self.assign(values)
        return [np.concatenate(traces) for traces in zip(*parts, strict=True)]

    def values(self):
        """Return a copy of the values of all that an update changes, as `run_together` takes many of."""
        return jax.tree.map(lambda variable: jnp.array(variable.value), self._variables())

    def assign(self, values) -> None:
        """Give all that an update changes its value."""
        variables = jax.tree.leaves(self._variables())
        for variable, value in zip(variables, jax.tree.leaves(values), strict=True):
            variable.assign(value)

    def run_together(self, values, placed, index: np.ndarray, rates: np.ndarray):
        """Make the same number of updates in many trainings at once.

        values, placed: of all trainings, stacked along a new first axis. index: positions, int (updates,
        trainings, batch). rates: as in `run`. Returns the values after it, and what each player measured,
        (updates, trainings) each; neither is waited for.
        """
        return self._together(values, placed, index, rates)

    def _variables(self):
        """Return all that an update changes: every player's weights and slots, and the state."""
        players = self._players
        return (
            [list(player.weights) for player in players],
            [list(player.optimizer.variables) for player in players],
            self._state,
        )

    def _update(self, values, placed, batch):
        weights, slots, state = values
        weights, slots = list(weights), list(slots)
        index, rates = batch
        state = self._given(self._state, state, rates)
        measured = []
        for number, player in enumerate(self._players):

            def loss_of(variables, number=number, player=player, weights=tuple(weights), state=state):
                current = [*weights[:number], variables, *weights[number + 1 :]]
                mapping = [*zip(self._state, state, strict=True)]
                for other, theirs in zip(self._players, current, strict=True):
                    mapping += zip(other.weights, theirs, strict=True)
                with keras.StatelessScope(state_mapping=mapping) as scope:
                    loss, score = player.objective(placed, index)
                state = [scope.get_current_value(variable) for variable in self._state]
                return loss * player.loss_scale, (loss, score, state)

            gradients, (loss, score, state) = jax.grad(loss_of, has_aux=True)(weights[number])
            optimizer = player.optimizer
            rated = self._given(optimizer.variables, slots[number], rates)
            gradients = player.unscaled(gradients)
            weights[number], slots[number] = optimizer.stateless_apply(rated, gradients, weights[number])
            if player.after:
                weights[number], state = self._after(player, weights[number], state)
            measured += [loss, score]
        return (weights, slots, state), tuple(measured)

    def _given(self, variables, values, rates):
        """Return the values of variables at an update: of those that are given anew, the given ones."""
        return [
            rates[self._columns[id(variable)]] if id(variable) in self._columns else value
            for variable, value in zip(variables, values, strict=True)
        ]

    def _after(self, player: Player, weights, state):
        """Return a player's weights and the state after what it does after an update."""
        variables = [*player.weights, *self._state]
        mapping = list(zip(variables, [*weights, *state], strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            player.after()
        values = [scope.get_current_value(variable) for variable in variables]
        return values[: len(weights)], values[len(weights) :]

    def _scan(self, values, placed, batches):
        return jax.lax.scan(lambda values, batch: self._update(values, placed, batch), values, batches)

    def _scan_together(self, values, placed, index, rates):
        update = jax.vmap(self._update, in_axes=(0, 0, (0, None)))
        return jax.lax.scan(lambda values, batch: update(values, placed, batch), values, (index, rates))

    def _one_by_one(self, values, placed, batches):
        """Do what `_scan` does, with the loop in Python."""
        results = []
        for batch in zip(*batches, strict=True):
            values, result = self._step(values, placed, batch)
            results.append(result)
        return values, tuple(np.array(column) for column in zip(*results, strict=True))


def _spread(index: np.ndarray):
    """Divide batches of positions, (updates, batch), among the devices of Keras's distribution, if any.

    What is computed of them follows: XLA divides it, too, and adds the gradients up.
    """
    distribution = keras.distribution.distribution()
    if distribution is None or index.shape[1] % distribution.device_mesh.devices.size:
        return index
    mesh = distribution.device_mesh.backend_mesh
    axes = jax.sharding.PartitionSpec(None, mesh.axis_names[0])
    return jax.device_put(index, jax.sharding.NamedSharding(mesh, axes))
