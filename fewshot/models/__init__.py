"""Networks: one builder each, registered by name.

A builder is `build(shape, outputs, **switches) -> keras.Model`: from raw pixels (0–255, as floats;
normalisation is its first layer, so that a saved model needs nothing beside it) to logits. Its keyword
arguments are its switches: `baseline:norm=batch,width=32` names the network with two of them changed; a
`Literal` type lists the values that a switch takes. The trait `least_size` is the smallest image side that
the network takes, a number or a function of the switches.
"""

import inspect
from typing import Literal, get_args, get_type_hints

from fewshot import settings
from fewshot.errors import UsageError
from fewshot.registry import Registry

networks = Registry("network")
Norm = Literal["none", "batch", "layer", "group", "instance"]


def build(text: str, shape: tuple[int, int, int], outputs: int):
    """Return a new network with random weights, drawn from Python's and Keras's global seeds."""
    check_size(text, shape)
    name, given = _parse(text)
    return networks[name](shape, outputs, **given)


def check_size(text: str, shape: tuple[int, int, int]) -> None:
    """Raise `UsageError` where images of this shape are too small for the network."""
    least = least_size(text)
    if min(shape[:2]) < least:
        raise UsageError(f"the network '{text}' takes images from {least}×{least} on: raise --image-size")


def least_size(text: str) -> int:
    """Return the smallest side of an image that the network takes."""
    name, given = _parse(text)
    least = networks[name].traits["least_size"]
    return least(**switches(name) | given) if callable(least) else least


def switches(name: str) -> dict[str, object]:
    """Return a network's switches with their defaults."""
    parameters = inspect.signature(networks[name].make).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def choices(name: str) -> dict[str, tuple[str, ...]]:
    """Return the values that a network's switches take, for those that are one of a few names."""
    return {
        switch: names
        for switch, kind in get_type_hints(networks[name].make).items()
        if (names := get_args(kind))
    }


def canonical(text: str) -> str:
    """Return the one name of a network: switches in order, defaults left out; `UsageError` where unknown."""
    name, given = _parse(text)
    defaults = switches(name)
    return settings.join(name, {key: value for key, value in given.items() if value != defaults[key]})


def version(text: str) -> int:
    """Return the version of a network's definition."""
    return networks[_parse(text)[0]].version


def _parse(text: str) -> tuple[str, dict[str, object]]:
    name, given = settings.split(text)
    return name, settings.typed(f"the network '{name}'", given, switches(name), choices(name))


from fewshot.models import cnn  # noqa: E402, F401  (registers its networks)
