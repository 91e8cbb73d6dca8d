"""Networks: one builder each, registered by name.

A builder is `build(shape, outputs) -> keras.Model`: from raw pixels (0–255, as floats; normalisation is
its first layer, so that a saved model needs nothing beside it) to logits. The trait `least_size` is the
smallest image side that it takes.
"""

from fewshot.errors import UsageError
from fewshot.registry import Registry

networks = Registry("network")


def build(name: str, shape: tuple[int, int, int], outputs: int):
    """Return a new network with random weights, drawn from Python's and Keras's global seeds."""
    definition = networks[name]
    least = definition.traits["least_size"]
    if min(shape[:2]) < least:
        raise UsageError(f"the network '{name}' takes images from {least}×{least} on: raise --image-size")
    return definition(shape, outputs)


from fewshot.models import cnn  # noqa: E402, F401  (registers its networks)
