"""Backbones: networks trained on ImageNet, from raw pixels (0–255, as floats) to features.

A registered body, in any file of this folder, is `body(x, top) -> features`, or 1000 logits where `top`. Its
traits: `size`, at which it looks at images by default, and `least_size`, which it takes; where there is a
file of pretrained weights, `weights`, its `WeightFile`, whether that holds a `top`, and where it names layers
in another way, the `alias` of a layer's name; the `milliseconds` that one core takes for an image of 224×224.
Every network of `keras.applications` is there as well, as `keras/NAME`, and with the extra 'hub' the image
models of KerasHub, as `hub/PRESET` or `hub/FOLDER` (`fewshot.backbones.hub`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.backbones import hub
from fewshot.errors import UsageError, field, unknown
from fewshot.registry import Registry, import_all

if TYPE_CHECKING:
    from fewshot.backbones.weights import WeightFile

backbones = Registry("backbone")

RANDOM = "random"
UNKNOWN_MILLISECONDS = 100.0
KERAS_SIZE, KERAS_LEAST_SIZE = 224, 32  # of keras/NAME; some need more: Keras itself says so


def load(
    name: str,
    weights: str | None = None,
    shape: tuple[int, int, int] | None = None,
    *,
    size: int | None = None,
    top: bool = False,
    pool: str = "",
):
    """Return a backbone, a `keras.Model` for images of `shape`, looked at in `size`×`size` (or its own).

    weights: None for the pretrained ones, "random" for the control, or the path of a file. pool: how features
    are pooled, of KerasHub's.
    """
    import keras

    preset = hub.locate(name) if hub.is_hub(name) else None
    size = check(name, size, pool)
    inputs = keras.Input(shape or (size, size, 3))
    x = inputs
    if inputs.shape[1:3] != (size, size):
        shrinks, way = min(inputs.shape[1:3]) > size, preset.interpolation if preset else "bilinear"
        resize = keras.layers.Resizing(size, size, way, antialias=shrinks, name="resize")
        # Left unsaid, Keras's layers for images tell all that follow them that they are being trained.
        x = resize(x, training=False)
    if preset:
        from fewshot.backbones.hub import graph

        _check_hub(name, weights, top)
        features = graph.body(x, preset, size, pool, weights == RANDOM)
        return keras.Model(inputs, features, name="hub")
    if network := _keras_name(name):
        from fewshot.backbones import applications

        return keras.Model(inputs, applications.body(x, network, top, weights), name=network)
    if top and not backbones[name].traits.get("top"):
        raise UsageError(f"the backbone '{name}' has no classifier")
    model = keras.Model(inputs, backbones[name](x, top), name=name)
    _fill(model, name, weights)
    return model


def digest(name: str, weights: str | None) -> str:
    """Return what tells weights apart: the SHA-256 of a file, or a name."""
    from fewshot.io.digests import sha256_of

    check(name)
    if hub.is_hub(name):
        _check_hub(name, weights)
        return hub.digest(name, weights == RANDOM)
    if weights == RANDOM:
        return RANDOM
    if weights:
        try:
            return sha256_of(Path(weights).expanduser())
        except OSError as error:
            raise UsageError(f"cannot read the weights {weights}: {error.strerror}") from error
    if _keras_name(name):
        return name
    return _weights(name).sha256


def licence(name: str, weights: str | None) -> str:
    """Return the licence of a backbone's weights, and whether they are gated; "" where nobody says."""
    if weights:
        return ""
    if hub.is_hub(name):
        return hub.locate(name).terms
    return "" if _keras_name(name) else _weights(name).licence


def milliseconds(name: str) -> float:
    """Return how long one core takes for an image of 224×224 pixels, roughly."""
    if hub.is_hub(name):
        return hub.milliseconds(name) or UNKNOWN_MILLISECONDS
    traits = backbones[name].traits if name in backbones else {}
    return traits.get("milliseconds", UNKNOWN_MILLISECONDS)


def to_fetch(name: str, weights: str | None = None) -> WeightFile | None:
    """Return the file of a backbone's pretrained weights where it is not here yet.

    None for those that others fetch, too: `keras/NAME` and KerasHub's.
    """
    if weights or hub.is_hub(name) or _keras_name(name) or "weights" not in backbones[name].traits:
        return None
    file = _weights(name)
    return None if file.is_here else file


def check(name: str, size: int | None = None, pool: str = "") -> int:
    """Return the size at which a backbone looks at images: `size`, or its own.

    Raises `UsageError`, with the nearest name, where there is no such backbone, for a size below its
    least, and for a way of pooling that it does not have. What stands behind `keras/` only Keras knows: it is
    checked by `load`.
    """
    if hub.is_hub(name):
        return hub.check(name, size, pool)
    if not _keras_name(name) and name not in backbones:
        raise unknown("backbone", name, [*backbones, *hub.SHORT, "keras/NAME", "hub/PRESET"])
    if pool:
        raise UsageError(f"the backbone '{name}' pools in one way: pool={pool} is for those of KerasHub")
    if _keras_name(name):
        traits = {"size": KERAS_SIZE, "least_size": KERAS_LEAST_SIZE}
    else:
        traits = backbones[name].traits
    size, least = traits["size"] if size is None else size, traits["least_size"]
    if size < least:
        raise UsageError(f"the backbone '{name}' looks at images from {least}×{least} on. Received: {size}")
    return size


def _check_hub(name: str, weights: str | None, top: bool = False) -> None:
    if weights not in (None, RANDOM):
        raise UsageError(f"the weights of '{name}' are its folder's: name another folder, hub/FOLDER")
    if top:
        raise UsageError(f"the backbone '{name}' has no classifier")


def _keras_name(name: str) -> str | None:
    return name.removeprefix("keras/") if name.startswith("keras/") else None


def _weights(name: str) -> WeightFile:
    """Return the file of a backbone's pretrained weights; `UsageError` where it has none."""
    file = backbones[name].traits.get("weights")
    if file is None:
        example = field("weights", RANDOM)
        raise UsageError(f"the backbone '{name}' names no pretrained weights: give {example} or a file")
    return file


def _fill(model, name: str, weights: str | None) -> None:
    from fewshot.backbones import port
    from fewshot.backbones.weights import arrays

    traits = backbones[name].traits
    if weights is None:
        port.fill(model, arrays(_weights(name)), traits.get("alias"))
    elif weights != RANDOM:
        port.fill_from(model, Path(weights).expanduser(), traits.get("alias"))


# Without what needs Keras started, and what only reads files.
import_all(
    __name__,
    __path__,
    but=("applications", "features", "hub", "layers", "port", "readers", "torch_files"),
)
