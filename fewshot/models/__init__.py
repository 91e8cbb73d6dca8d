"""Networks: one builder each, registered by name, in any file of this folder.

A builder is `build(shape, outputs, **switches) -> keras.Model`: from raw pixels (0–255, as floats;
normalisation is its first layer, so that a saved model needs nothing beside it) to logits. Its keyword
arguments are its switches: `baseline:norm=batch,width=32` names the network with two of them changed; a
`Literal` type lists the values that a switch takes. Traits: `least_size`, the smallest image side that the
network takes, a number or a function of the switches (1 where it is left out); `rows`, that it takes
features, too; `pretrained`, a function of the switches that names the weights from which it starts.
"""

from __future__ import annotations

from typing import Any, Literal

from fewshot.errors import UsageError, field
from fewshot.identity import blamed, place_of
from fewshot.registry import import_all
from fewshot.settings import Configurable, split
from fewshot.wording import one_line

networks = Configurable("network", namespace="method")
Norm = Literal["none", "batch", "layer", "group", "instance"]


def build(text: str, shape: tuple[int, int, int], outputs: int):
    """Return a new network with random weights, drawn from Python's and Keras's global seeds."""
    check_size(text, shape)
    try:
        network = networks.build(text, shape, outputs)
    except ValueError as error:
        raise UsageError(f"the network '{text}' cannot be built: {one_line(error)}") from error
    return _functional(text, network, shape, outputs)


def _functional(text: str, network: Any, shape: tuple[int, int, int], outputs: int):
    """Return what a builder returned as a graph from images to logits; `UsageError` for anything else."""
    import keras

    place = f"the network '{text}' ({place_of(networks[split(text)[0]].make)})"
    if not isinstance(network, keras.Model):
        raise UsageError(f"{place} returns no keras.Model. Received: {type(network).__name__}")
    if isinstance(network, keras.Sequential):
        with blamed(f"{place} does not take such images", networks[split(text)[0]].make, (ValueError,)):
            network.build((None, *shape))
        network = keras.Model(network.inputs[0], network.outputs[0], name=network.name)
    if getattr(network, "inputs", None) is None:
        raise UsageError(f"{place} is no graph of layers: return keras.Model(inputs, logits)")
    if len(network.inputs) != 1 or not _fits(network.input_shape, shape):
        raise UsageError(f"{place} takes {network.input_shape}, and the images are {(None, *shape)}")
    if len(network.outputs) != 1 or not _fits(network.output_shape, (outputs,)):
        raise UsageError(
            f"{place} has outputs of shape {network.output_shape}, and the task wants {(None, outputs)}: "
            "a logit a class"
        )
    return network


def _fits(of_batch: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    """Return whether a batch's shape, None for any size, is that of arrays of the wanted shape."""
    return len(of_batch) == 1 + len(wanted) and all(
        a in (None, b) for a, b in zip(of_batch[1:], wanted, strict=True)
    )


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


import_all(__name__, __path__, but=("cost", "layers", "views"))  # which need Keras started
