"""The inner loop on TensorFlow: a `tf.function` that runs a whole stretch of updates."""

import numpy as np
import tensorflow as tf


class Loop:
    """Runs updates of `network` by `optimizer` on `objective(placed, index) -> loss, right answers`.

    policy: the layers that `objective` uses beside the network.
    """

    def __init__(self, objective, network, policy, optimizer):
        self._objective, self._network, self._optimizer = objective, network, optimizer
        self._compiled = {}
        kind = tf.uint8 if len(network.input_shape) == 4 else tf.float32  # images, or rows of features
        images = tf.TensorSpec(network.input_shape, kind)
        self._predict = tf.function(self._probabilities, [images], autograph=False).get_concrete_function()

    def place(self, examples):
        """Return the examples as tensors in the backend's memory."""
        arrays = (examples.x, examples.targets, examples.pairs, examples.share)
        return tuple(tf.constant(array) for array in arrays if array is not None)

    def run(self, placed, batches: list[np.ndarray], rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Make one update a batch; return each one's loss and number of right answers."""
        bounds = np.cumsum([0, *map(len, batches)], dtype=np.int32)
        index = tf.constant(np.concatenate(batches))
        losses, hits = self._graph(placed)(placed, index, tf.constant(bounds), tf.constant(rates))
        return losses.numpy(), hits.numpy()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the class probabilities of images or features."""
        return self._predict(tf.constant(x)).numpy()

    def _graph(self, placed):
        """Return the compiled function for these kinds of arrays, whatever their length."""
        kinds = tuple(tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in placed)
        if kinds not in self._compiled:
            vector = tf.TensorSpec([None], tf.int32)
            signature = [kinds, vector, vector, tf.TensorSpec([None], tf.float32)]
            graph = tf.function(self._updates, signature, autograph=False)
            self._compiled[kinds] = graph.get_concrete_function()
        return self._compiled[kinds]

    def _updates(self, placed, index, bounds, rates):
        count = tf.size(rates)
        weights = self._network.trainable_variables

        def update(step, losses, hits):
            with tf.GradientTape() as tape:
                batch = index[bounds[step] : bounds[step + 1]]
                loss, right = self._objective(placed, batch)
            self._optimizer.learning_rate.assign(rates[step])
            self._optimizer.apply(tape.gradient(loss, weights), weights)
            return step + 1, losses.write(step, loss), hits.write(step, right)

        empty = (tf.TensorArray(tf.float32, count), tf.TensorArray(tf.float32, count))
        _, losses, hits = tf.while_loop(lambda step, *_: step < count, update, (0, *empty))
        return losses.stack(), hits.stack()

    def _probabilities(self, x):
        return tf.nn.softmax(self._network(tf.cast(x, tf.float32), training=False))
