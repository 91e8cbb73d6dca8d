"""Layers that hold their kernel to spectral norm 1 (Miyato et al., arXiv 1802.05957), in `keras.ops`.

Keras's own wrapper assigns the normalised kernel to the layer, so that no gradient passes through the norm
and a functional backend loses it; here the kernel stays as it is, and its quotient convolves.
"""

from __future__ import annotations

from keras import layers, ops


class _Spectral:
    """Divides the kernel by its largest singular value, followed by one power iteration a training step."""

    def build(self, shape):
        super().build(shape)
        self._direction = self.add_weight(
            shape=(self._kernel.shape[-1],), initializer="random_normal", trainable=False, name="direction"
        )

    def call(self, x, training=False):
        matrix = ops.reshape(self._kernel, (-1, self._kernel.shape[-1]))
        left = _unit(ops.matmul(ops.stop_gradient(matrix), self._direction[:, None]))
        right = _unit(ops.matmul(ops.transpose(ops.stop_gradient(matrix)), left))
        if training:
            self._direction.assign(right[:, 0])
        norm = ops.sum(left * ops.matmul(matrix, right))
        return self._apply(x, self._kernel / norm)


class SpectralConv2D(_Spectral, layers.Conv2D):
    """A convolution of spectral norm 1, taken of the kernel as a matrix with a column an output."""

    def _apply(self, x, kernel):
        return ops.conv(x, kernel, self.strides, self.padding) + self.bias


class SpectralDense(_Spectral, layers.Dense):
    """A dense layer of spectral norm 1."""

    def _apply(self, x, kernel):
        x = ops.matmul(x, kernel)
        return x + self.bias if self.use_bias else x


def _unit(vector):
    return vector / (ops.norm(vector) + 1e-12)
