"""Small convolutional networks for 32×32 images."""

from __future__ import annotations

from typing import Literal

from fewshot.errors import UsageError
from fewshot.models import Norm, networks
from fewshot.settings import Depth, Side, Width

Pool = Literal["average", "max", "both"]


def _plan(width: int, depth: int) -> list[tuple[int, int]]:
    """Return filters and stride of each convolution: two halves, the last of each with stride 2."""
    if depth < 2 or depth % 2:
        raise UsageError(f"depth counts the convolutions, an even number from 2 on. Received: {depth}")
    if width < 1:
        raise UsageError(f"width counts the filters of the first convolution. Received: {width}")
    half = depth // 2
    return [(filters, 2 if i == half - 1 else 1) for filters in (width, 2 * width) for i in range(half)]


def _kernels(depth: int, kernel: int) -> list[int]:
    """Return the convolutions' kernel sizes: the first and the last are 3×3."""
    if kernel < 1:
        raise UsageError(f"kernel is the side of the middle convolutions' kernels. Received: {kernel}")
    return [3, *[kernel] * (depth - 2), 3]


def _least_size(*, width, depth, kernel, **_) -> int:
    size = 1
    for side, (_, stride) in reversed(list(zip(_kernels(depth, kernel), _plan(width, depth), strict=True))):
        size = (size - 1) * stride + side
    return size


@networks.register("baseline", least_size=_least_size)
def baseline(
    shape,
    outputs,
    *,
    width: Width = 16,
    depth: Depth = 4,
    kernel: Side = 3,
    norm: Norm = "none",
    se=False,
):
    """The few-shot report's testbed network: four 3×3 convolutions, 24,666 parameters at 32×32×3.

    width: filters of the first half, twice as many in the second. depth: convolutions. The middle ones,
    all but the first and the last, take the other switches, as the report changed them: kernel, the side
    of their kernels; norm, a normalisation before ReLU; se, squeeze-and-excitation after it.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import Normalise, conv, dense, flatten, normalise, squeeze_excite

    inputs = keras.Input(shape)
    x = Normalise()(inputs)
    convolutions = list(zip(_plan(width, depth), _kernels(depth, kernel), strict=True))
    for i, ((filters, stride), side) in enumerate(convolutions):
        middle = 0 < i < depth - 1
        x = conv(x, filters, side, stride)
        x = normalise(x, norm if middle else "none")
        x = layers.Activation("relu")(x)
        x = squeeze_excite(x) if se and middle else x
    return keras.Model(inputs, dense(flatten(x), outputs), name="baseline")


@networks.register("keras-cnn", least_size=10)
def keras_cnn(shape, outputs):
    """The few-shot report's classifier for synthetic images; its widths are not legible, ours are 32 and 64.

    Two 3×3 convolutions, each with ReLU and max-pooling, and dense layers of 64 and the outputs, with Keras's
    own initialisation: 167,562 parameters at 32×32×3 and 10 classes.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import Normalise

    inputs = keras.Input(shape)
    x = Normalise()(inputs)
    for filters in (32, 64):
        x = layers.MaxPooling2D()(layers.Conv2D(filters, 3, activation="relu")(x))
    x = layers.Dense(64, "relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(outputs)(x), name="keras-cnn")


@networks.register("compact", least_size=8)
def compact(
    shape,
    outputs,
    *,
    width: Width = 24,
    blocks: Depth = 1,
    norm: Norm = "batch",
    pool: Pool = "average",
    se=False,
):
    """A small residual network that halves the maps early, to spend its time on 16×16 and 8×8 maps.

    width: filters of the first convolution, doubled at each of two stages. blocks: residual blocks of a
    stage. pool: how the last maps become features, average, max or both.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import Normalise, conv, dense, normalise, squeeze_excite

    def unit(x, filters):
        return layers.Activation("relu")(normalise(conv(x, filters, padding="same"), norm))

    inputs = keras.Input(shape)
    x = unit(Normalise()(inputs), width)
    for filters in (2 * width, 4 * width):
        x = unit(layers.MaxPooling2D()(x), filters)
        for _ in range(blocks):
            y = unit(x, filters)
            x = layers.Add()([x, squeeze_excite(y) if se else y])
    pools = {"average": [layers.GlobalAveragePooling2D], "max": [layers.GlobalMaxPooling2D]}
    pools["both"] = pools["average"] + pools["max"]
    features = [make()(x) for make in pools[pool]]
    x = layers.Concatenate()(features) if len(features) > 1 else features[0]
    return keras.Model(inputs, dense(x, outputs), name="compact")
