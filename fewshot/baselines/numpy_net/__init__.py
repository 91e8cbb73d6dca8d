"""Networks from scratch, in NumPy alone: to read how they learn, and as baselines.

    network = build("numpy-fc3:init=xavier,dropout=0.5", shape=(32, 32, 3), outputs=10, seed=0)
    curve = train(network, images, targets, Recipe(epochs=10), seed=0)      # of the module `train`
    probabilities = network.predict(test_images)

A definition is a function of its switches that returns the layers between pixels and logits. Reading order:
`layers`, `images`, `loss`, `network`, `optimizers`, `train`; the networks themselves stand in `definitions`.
"""

from __future__ import annotations

from fewshot.baselines.numpy_net.network import Network
from fewshot.errors import UsageError, field
from fewshot.settings import Configurable

nets = Configurable("NumPy network", namespace="method")


def build(text: str, shape: tuple[int, int, int], outputs: int, seed: int, dtype: str = "float32") -> Network:
    """Return the network that `text` names, with new weights; `UsageError` where that cannot be."""
    check(text, shape)
    return Network(nets.build(text, outputs), shape, seed, dtype)


def check(text: str, shape: tuple[int, int, int]) -> None:
    """Raise `UsageError` for an unknown network, unfit switches, or images too small for it."""
    nets.build(text, 2)
    least = nets.trait(text, "least_size") or 1
    if min(shape[:2]) < least:
        raise UsageError(
            f"the network '{text}' takes images from {least}×{least} on: raise {field('image_size')}"
        )


from fewshot.baselines.numpy_net import definitions  # noqa: E402, F401  (registers them)
