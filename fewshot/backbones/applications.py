"""Any network of `keras.applications`, as `keras/NAME`: its own download, its own preprocessing inside."""

from __future__ import annotations

import contextlib
import socket
import sys
from pathlib import Path

import keras
import numpy as np
from filelock import FileLock
from keras import layers

from fewshot.backbones.port import fill_as_keras
from fewshot.errors import FewshotError, UsageError, unknown
from fewshot.io.cache import cache_dir
from fewshot.models.layers import mixed
from fewshot.wording import one_line

PREFIX = "keras/"


def names() -> list[str]:
    """Return what can stand behind `keras/`."""
    return [name for name in vars(keras.applications) if name[0].isupper()]


@keras.saving.register_keras_serializable("fewshot")
class KerasPixels(layers.Layer):
    """The `preprocess_input` that belongs to a network of `keras.applications`."""

    def __init__(self, network: str, **kwargs):
        super().__init__(**kwargs)
        self.network = network

    def call(self, x):
        """Return what the network was trained on, same shape."""
        return _module(self.network).preprocess_input(x, data_format="channels_last")

    def standard(self, x):
        """Return the same of a symbolic tensor: a convolution of one pixel, which all of them are."""
        pixels = np.concatenate([np.zeros((1, 3)), np.eye(3)]).astype(np.float32)
        bias, *rows = np.array(self.call(pixels[None, None]))[0, 0]
        return mixed(x, np.array(rows) - bias, bias, self.name)

    def get_config(self) -> dict:
        """Return the arguments, for saved models."""
        return super().get_config() | {"network": self.network}


def body(x, network: str, top: bool, weights: str | None):
    """Return features (averaged over the map) or, with `top`, logits of `keras/network`."""
    if network not in names():
        raise unknown("backbone", PREFIX + network, [PREFIX + name for name in names()])
    options = (
        {"include_top": True, "classifier_activation": None}
        if top
        else {"include_top": False, "pooling": "avg"}
    )
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(10)
    try:
        # Keras prints its progress bar on standard output, which is not ours to give.
        # It writes to the final path as it downloads: one worker at a time.
        cache_dir().mkdir(parents=True, exist_ok=True)
        with FileLock(cache_dir() / ".keras.lock"), contextlib.redirect_stdout(sys.stderr):
            model = getattr(keras.applications, network)(
                weights="imagenet" if weights is None else None, input_shape=tuple(x.shape[1:]), **options
            )
    except ValueError as error:
        raise UsageError(f"keras/{network} cannot be built: {one_line(error)}") from error
    except Exception as error:  # Keras raises a bare one where its download fails
        raise FewshotError(
            f"cannot get the weights of keras/{network}. Tried: Keras's download ({one_line(error)}). "
            "A method's setting weights=FILE names a file of them, weights=random is the control"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
    if weights not in (None, "random"):
        fill_as_keras(model, Path(weights).expanduser())
    return model(KerasPixels(network)(x))


def _module(network: str):
    make = getattr(keras.applications, network)
    for module in vars(keras.applications).values():
        if hasattr(module, "preprocess_input") and getattr(module, network, None) is make:
            return module
    raise UsageError(f"keras/{network} has no preprocessing of its own")
