"""Networks: one builder each, registered by name, in any file of this folder.

A builder is `build(shape, outputs, **switches) -> keras.Model`: from raw pixels (0–255, as floats;
normalisation is its first layer, so that a saved model needs nothing beside it) to logits. Its keyword
arguments are its switches: `baseline:norm=batch,width=32` names the network with two of them changed; a
`Literal` type lists the values that a switch takes. Traits: `least_size`, the smallest image side that the
network takes, a number or a function of the switches (1 where it is left out); `rows`, that it takes
features, too; `pretrained`, a function of the switches that names the weights from which it starts.
"""

from typing import Literal

from fewshot.errors import UsageError, field
from fewshot.registry import import_all
from fewshot.settings import Configurable
from fewshot.wording import one_line

networks = Configurable("network", namespace="method")
Norm = Literal["none", "batch", "layer", "group", "instance"]


def build(text: str, shape: tuple[int, int, int], outputs: int):
    """Return a new network with random weights, drawn from Python's and Keras's global seeds."""
    check_size(text, shape)
    try:
        return networks.build(text, shape, outputs)
    except ValueError as error:
        raise UsageError(f"the network '{text}' cannot be built: {one_line(error)}") from error


def check_size(text: str, shape: tuple[int, int, int]) -> None:
    """Raise `UsageError` where images of this shape are too small for the network."""
    least = least_size(text)
    if min(shape[:2]) < least:
        raise UsageError(
            f"the network '{text}' takes images from {least}×{least} on: raise {field('image_size')}"
        )


def least_size(text: str) -> int:
    """Return the smallest side of an image that the network takes."""
    return networks.trait(text, "least_size") or 1


import_all(__name__, __path__, but=("cost", "layers"))  # which need Keras started
