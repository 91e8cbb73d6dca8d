"""A network: layers in a row, and the chain rule, which goes through them backwards."""

from __future__ import annotations

import numpy as np

from fewshot.baselines.numpy_net.images import Standardise
from fewshot.baselines.numpy_net.layers import Layer, Shape
from fewshot.baselines.numpy_net.loss import softmax
from fewshot.seeding import rng

PREDICT_BATCH = 128


class Network:
    """From raw pixels to logits: `Standardise`, then the given layers, with random weights of `seed`.

    shape: of one image, (height, width, channels). dtype: float32; float64 to check gradients.
    """

    def __init__(self, layers: list[Layer], shape: Shape, seed: int = 0, dtype: str = "float32"):
        self.standardise = Standardise()
        self.layers = [self.standardise, *layers]
        streams = {name: rng(seed, name) for name in ("init", "dropout")}
        for layer in self.layers:
            shape = layer.build(shape, streams, dtype)
        self._learning = [layer for layer in self.layers if layer.parameters]

    @property
    def parameters(self) -> list[np.ndarray]:
        """All weights, from the first layer to the last: change them in place."""
        return [weights for layer in self._learning for weights in layer.parameters]

    @property
    def gradients(self) -> list[np.ndarray]:
        """What the last `backward` found, in the order of `parameters`."""
        return [gradient for layer in self._learning for gradient in layer.gradients]

    @property
    def size(self) -> int:
        """The number of weights."""
        return sum(weights.size for weights in self.parameters)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return logits, (N, classes), of images (N, height, width, channels)."""
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, gradient: np.ndarray) -> None:
        """Find the gradients of all weights from that of the logits, after `forward` in training."""
        first = self.layers.index(self._learning[0])
        for layer in reversed(self.layers[first:]):
            gradient = layer.backward(gradient, wanted=layer is not self._learning[0])

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities, (N, classes)."""
        parts = range(0, len(x), PREDICT_BATCH)
        return np.concatenate([softmax(self.forward(x[i : i + PREDICT_BATCH])) for i in parts])
