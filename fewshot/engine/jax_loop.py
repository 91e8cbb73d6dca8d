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
    """Runs updates of `network` by `optimizer` on `objective(placed, index) -> loss, right answers`.

    policy: the layers that `objective` uses beside the network.
    """

    def __init__(self, objective, network, policy, optimizer):
        self._objective, self._network, self._optimizer = objective, network, optimizer
        self._state = network.non_trainable_variables + [v for layer in policy for v in layer.variables]
        self._rate = next(
            i for i, variable in enumerate(optimizer.variables) if variable is optimizer.learning_rate
        )
        if jax.default_backend() == "cpu":
            self._step = jax.jit(self._update, donate_argnums=0)
            self._stretch = self._one_by_one
        else:
            self._stretch = jax.jit(self._scan, donate_argnums=0)
        self._predict = jax.jit(self._probabilities)

    def place(self, examples):
        """Return the examples as arrays in the backend's memory."""
        arrays = (examples.x, examples.targets, examples.pairs, examples.share)
        return tuple(jnp.asarray(array) for array in arrays if array is not None)

    def run(self, placed, batches: list[np.ndarray], rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Make one update a batch; return each one's loss and number of right answers."""
        state = tuple([jnp.array(v.value) for v in group] for group in self._variables())
        losses, hits, done = [], [], 0
        for _, equal in itertools.groupby(batches, key=len):
            index = np.stack(list(equal))
            state, (loss, right) = self._stretch(state, placed, (index, rates[done : done + len(index)]))
            losses.append(loss)
            hits.append(right)
            done += len(index)
        for group, values in zip(self._variables(), state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return np.concatenate(losses), np.concatenate(hits)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the class probabilities of images or features."""
        network = self._network
        groups = (network.trainable_variables, network.non_trainable_variables)
        return np.asarray(self._predict(*([v.value for v in group] for group in groups), x))

    def _variables(self):
        return self._network.trainable_variables, self._state, self._optimizer.variables

    def _update(self, state, placed, batch):
        weights, frozen, slots = state
        index, rate = batch

        def loss_of(weights):
            trainable, other, _ = self._variables()
            mapping = [*zip(trainable, weights, strict=True), *zip(other, frozen, strict=True)]
            with keras.StatelessScope(state_mapping=mapping) as scope:
                loss, hits = self._objective(placed, index)
            return loss, (hits, [scope.get_current_value(variable) for variable in other])

        (loss, (hits, frozen)), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights)
        slots = [rate if i == self._rate else slot for i, slot in enumerate(slots)]
        weights, slots = self._optimizer.stateless_apply(slots, gradients, weights)
        return (weights, frozen, slots), (loss, hits)

    def _scan(self, state, placed, batches):
        return jax.lax.scan(lambda state, batch: self._update(state, placed, batch), state, batches)

    def _one_by_one(self, state, placed, batches):
        """Do what `_scan` does, with the loop in Python."""
        results = []
        for batch in zip(*batches, strict=True):
            state, result = self._step(state, placed, batch)
            results.append(result)
        return state, tuple(np.array(column) for column in zip(*results, strict=True))

    def _probabilities(self, weights, frozen, x):
        logits, _ = self._network.stateless_call(weights, frozen, x.astype("float32"), training=False)
        return jax.nn.softmax(logits)
