"""The networks of the baselines report, with the options that it tried and those that repair them.

A hidden layer is Dense or Convolution, BatchNorm (norm=batch), activation, Dropout. Nothing follows the
last Dense layer: the report's own networks had a ReLU there, on the logits, and did not learn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from fewshot.baselines.numpy_net import nets
from fewshot.baselines.numpy_net.images import AveragePooling, Convolution, MaxPooling
from fewshot.baselines.numpy_net.layers import GELU, BatchNorm, Dense, Dropout, Flatten, Init, Layer, ReLU
from fewshot.settings import Share

Activation = Literal["relu", "gelu"]
Norm = Literal["none", "batch"]
Pool = Literal["max", "average", "none"]

ACTIVATIONS = {"relu": ReLU, "gelu": GELU}
POOLINGS = {"max": [MaxPooling], "average": [AveragePooling], "none": []}


def _fully_connected(units: Sequence[int], summary: str) -> Callable[..., list[Layer]]:
    """Return the builder of a network of fully connected layers; summary: what help texts say of it."""

    def build(
        outputs: int,
        *,
        init: Init = "he",
        dropout: Share = 0.0,
        norm: Norm = "none",
        activation: Activation = "relu",
    ) -> list[Layer]:
        layers: list[Layer] = [Flatten()]
        for count in units:
            layers += [Dense(count, init), *_hidden(dropout, norm, activation)]
        return [*layers, Dense(outputs, init)]

    build.__doc__ = summary
    return build


def _convolutional(filters: Sequence[int], summary: str) -> Callable[..., list[Layer]]:
    """Return the builder of a network of 3×3 convolutions and a Dense layer; summary: as above.

    The report does not say where it pooled, if it did: here after every second convolution.
    """

    def build(
        outputs: int,
        *,
        init: Init = "he",
        dropout: Share = 0.0,
        norm: Norm = "none",
        activation: Activation = "relu",
        pool: Pool = "max",
    ) -> list[Layer]:
        layers: list[Layer] = []
        for number, count in enumerate(filters, 1):
            layers += [Convolution(count, init=init), *_hidden(dropout, norm, activation)]
            if number % 2 == 0:
                layers += [pooling() for pooling in POOLINGS[pool]]
        return [*layers, Flatten(), Dense(outputs, init)]

    build.__doc__ = summary
    return build


def _hidden(dropout: float, norm: Norm, activation: Activation) -> list[Layer]:
    """Return what follows the weights of a hidden layer."""
    return [
        *([BatchNorm()] if norm == "batch" else []),
        ACTIVATIONS[activation](),
        *([Dropout(dropout)] if dropout else []),
    ]


def _least_size(convolutions: int) -> Callable[..., int]:
    """Return the trait: images are halved after every second convolution, unless `pool` is none."""
    return lambda pool, **_: 1 if pool == "none" else 2 ** (convolutions // 2)


fc3 = nets.register("numpy-fc3")(
    _fully_connected(
        (1024, 512, 256),
        "1024, 512 and 256 fully connected units: the baselines report's FC(3), in NumPy.",
    )
)
fc5 = nets.register("numpy-fc5")(
    _fully_connected(
        (2048, 1024, 512, 256, 128),
        "2048, 1024, 512, 256 and 128 fully connected units: the report's FC(5), in NumPy.",
    )
)
conv16 = nets.register("numpy-conv16", least_size=_least_size(2))(
    _convolutional((16, 16), "Two 3×3 convolutions of 16 filters, pooling, one Dense layer, in NumPy.")
)
conv32 = nets.register("numpy-conv32", least_size=_least_size(2))(
    _convolutional((32, 32), "Two 3×3 convolutions of 32 filters, pooling, one Dense layer, in NumPy.")
)
conv4 = nets.register("numpy-conv4", least_size=_least_size(4))(
    _convolutional(
        (32, 32, 64, 64),
        "3×3 convolutions of 32, 32, 64 and 64 filters, pooling after each two, one Dense layer, in NumPy.",
    )
)
