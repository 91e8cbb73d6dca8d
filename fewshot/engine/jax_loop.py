"""The inner loop on JAX: a jitted update, called step by step on the CPU, scanned on a GPU.

XLA's convolutions on the CPU are slow inside its loops, so there Python keeps the loop; on a GPU a run of
equal batches is one `jax.lax.scan`.
"""

import itertools

import jax
import jax.numpy as jnp
import keras
import numpy as np


class Loop:
    """Runs updates of `network` by `optimizer` on `objective(network, placed, index) -> loss, hits`."""

    def __init__(self, network, optimizer, objective, shape):
        self._network, self._optimizer, self._objective = network, optimizer, objective
        self._rate = next(
            i for i, variable in enumerate(optimizer.variables) if variable is optimizer.learning_rate
        )
        step = self._update
        if jax.default_backend() == "cpu":
            jitted = jax.jit(step, donate_argnums=0)
            self._stretch = lambda placed, state, xs: _each(jitted, placed, state, xs)
        else:
            scan = lambda state, placed, xs: jax.lax.scan(lambda s, x: step(s, placed, x), state, xs)  # noqa: E731
            jitted = jax.jit(scan, donate_argnums=0)
            self._stretch = lambda placed, state, xs: jitted(state, placed, xs)
        self._predict = jax.jit(self._probabilities)

    def place(self, examples):
        """Return the examples as arrays in the backend's memory."""
        return jnp.asarray(examples.x), jnp.asarray(examples.targets)

    def run(self, placed, batches: list[np.ndarray], rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Make one update a batch; return each one's loss and number of right answers."""
        state = tuple([jnp.array(v.value) for v in group] for group in self._variables())
        losses, hits, done = [], [], 0
        for _, equal in itertools.groupby(batches, key=len):
            index = np.stack(list(equal))
            state, (loss, right) = self._stretch(placed, state, (index, rates[done : done + len(index)]))
            losses.append(loss)
            hits.append(right)
            done += len(index)
        for group, values in zip(self._variables(), state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return np.concatenate(losses), np.concatenate(hits)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the class probabilities of uint8 images."""
        weights, frozen, _ = ([v.value for v in group] for group in self._variables())
        return np.asarray(self._predict(weights, frozen, x))

    def _variables(self):
        network = self._network
        return network.trainable_variables, network.non_trainable_variables, self._optimizer.variables

    def _update(self, state, placed, batch):
        weights, frozen, slots = state
        index, rate = batch

        def loss_of(weights):
            trainable, other, _ = self._variables()
            mapping = [*zip(trainable, weights, strict=True), *zip(other, frozen, strict=True)]
            with keras.StatelessScope(state_mapping=mapping) as scope:
                loss, hits = self._objective(self._network, placed, index)
            return loss, (hits, [scope.get_current_value(variable) for variable in other])

        (loss, (hits, frozen)), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights)
        slots = [rate if i == self._rate else slot for i, slot in enumerate(slots)]
        weights, slots = self._optimizer.stateless_apply(slots, gradients, weights)
        return (weights, frozen, slots), (loss, hits)

    def _probabilities(self, weights, frozen, x):
        logits, _ = self._network.stateless_call(weights, frozen, x.astype("float32"), training=False)
        return jax.nn.softmax(logits)


def _each(jitted, placed, state, xs):
    """Do what `scan` does, with the loop in Python."""
    results = []
    for x in zip(*xs, strict=True):
        state, result = jitted(state, placed, x)
        results.append(result)
    return state, tuple(np.array(column) for column in zip(*results, strict=True))
