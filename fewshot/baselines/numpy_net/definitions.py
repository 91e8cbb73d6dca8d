"""The networks of the baselines report, with the switches that it tried and those that mend them.

A hidden layer is Dense or Convolution, BatchNorm (norm=batch), activation, Dropout. Nothing follows the
last Dense layer: the report's own networks had a ReLU there, on the logits, and learnt nothing.
"""

from collections.abc import Sequence
from typing import Literal

from fewshot.baselines.numpy_net import nets
from fewshot.baselines.numpy_net.images import AveragePooling, Convolution, MaxPooling
from fewshot.baselines.numpy_net.layers import GELU, BatchNorm, Dense, Dropout, Flatten, Init, Layer, ReLU

Activation = Literal["relu", "gelu"]
Norm = Literal["none", "batch"]
Pool = Literal["max", "average", "none"]

ACTIVATIONS = {"relu": ReLU, "gelu": GELU}
POOLINGS = {"max": [MaxPooling], "average": [AveragePooling], "none": []}


@nets.register("numpy-fc3")
def fc3(
    outputs, *, init: Init = "he", dropout=0.0, norm: Norm = "none", activation: Activation = "relu"
) -> list[Layer]:
    """1024, 512 and 256 fully connected units: the baselines report's FC(3), in NumPy."""
    return _connected((1024, 512, 256), outputs, init, dropout, norm, activation)


@nets.register("numpy-fc5")
def fc5(
    outputs, *, init: Init = "he", dropout=0.0, norm: Norm = "none", activation: Activation = "relu"
) -> list[Layer]:
    """2048, 1024, 512, 256 and 128 fully connected units: the report's FC(5), in NumPy."""
    return _connected((2048, 1024, 512, 256, 128), outputs, init, dropout, norm, activation)


def _least_size(convolutions: int):
    """Return the trait: images are halved after every second convolution, unless `pool` is none."""
    return lambda pool, **_: 1 if pool == "none" else 2 ** (convolutions // 2)


@nets.register("numpy-conv16", least_size=_least_size(2))
def conv16(
    outputs,
    *,
    init: Init = "he",
    dropout=0.0,
    norm: Norm = "none",
    activation: Activation = "relu",
    pool: Pool = "max",
) -> list[Layer]:
    """Two 3×3 convolutions of 16 filters, pooling, one Dense layer, in NumPy."""
    return _convolutional((16, 16), outputs, init, dropout, norm, activation, pool)


@nets.register("numpy-conv32", least_size=_least_size(2))
def conv32(
    outputs,
    *,
    init: Init = "he",
    dropout=0.0,
    norm: Norm = "none",
    activation: Activation = "relu",
    pool: Pool = "max",
) -> list[Layer]:
    """Two 3×3 convolutions of 32 filters, pooling, one Dense layer, in NumPy."""
    return _convolutional((32, 32), outputs, init, dropout, norm, activation, pool)


@nets.register("numpy-conv4", least_size=_least_size(4))
def conv4(
    outputs,
    *,
    init: Init = "he",
    dropout=0.0,
    norm: Norm = "none",
    activation: Activation = "relu",
    pool: Pool = "max",
) -> list[Layer]:
    """3×3 convolutions of 32, 32, 64 and 64 filters, pooling after each two, one Dense layer, in NumPy."""
    return _convolutional((32, 32, 64, 64), outputs, init, dropout, norm, activation, pool)


def _connected(
    units: Sequence[int], outputs: int, init: Init, dropout: float, norm: Norm, activation: Activation
) -> list[Layer]:
    layers: list[Layer] = [Flatten()]
    for count in units:
        layers += [Dense(count, init), *_hidden(dropout, norm, activation)]
    return [*layers, Dense(outputs, init)]


def _convolutional(
    filters: Sequence[int],
    outputs: int,
    init: Init,
    dropout: float,
    norm: Norm,
    activation: Activation,
    pool: Pool,
) -> list[Layer]:
    """Return the layers; the report does not say where it pooled, if it did: here after every second one."""
    layers: list[Layer] = []
    for number, count in enumerate(filters, 1):
        layers += [Convolution(count, init=init), *_hidden(dropout, norm, activation)]
        if number % 2 == 0:
            layers += [pooling() for pooling in POOLINGS[pool]]
    return [*layers, Flatten(), Dense(outputs, init)]


def _hidden(dropout: float, norm: Norm, activation: Activation) -> list[Layer]:
    """Return what follows the weights of a hidden layer."""
    return [
        *([BatchNorm()] if norm == "batch" else []),
        ACTIVATIONS[activation](),
        *([Dropout(dropout)] if dropout else []),
    ]
