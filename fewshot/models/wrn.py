"""Wide residual networks (arXiv 1605.07146): few layers, each with many filters."""

from __future__ import annotations

from fewshot.errors import UsageError
from fewshot.models import networks
from fewshot.settings import Depth, Factor, Share

STAGES, FILTERS = 3, 16


@networks.register("wrn", least_size=4)
def wrn(shape, outputs, *, depth: Depth = 16, width: Factor = 4.0, drop: Share = 0.0):
    """A wide residual network, WRN-depth-width (arXiv 1605.07146): 2,748,890 parameters as WRN-16-4.

    Pre-activation: BatchNorm and ReLU stand before every 3×3 convolution, and the sum of a block is passed
    on as it is. Three stages of (depth - 4) / 6 blocks have 16, 32 and 64 times `width` filters, on maps of
    the images' size, a half and a quarter of it. depth: layers with weights, 10, 16, 22, 28, 40, …
    drop: the share of the last features that is dropped in training; the paper's dropout lies in the blocks.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import HE, Normalise, conv, dense, normalise

    blocks, rest = divmod(depth - 4, 2 * STAGES)
    if rest or blocks < 1:
        raise UsageError(f"the depth of a wrn is 10, 16, 22, 28, 34, 40, … Received: {depth}")

    def activated(x):
        return layers.Activation("relu")(normalise(x, "batch"))

    def block(x, filters, strides):
        y = activated(x)
        fits = x.shape[-1] == filters and strides == 1
        shortcut = x if fits else conv(y, filters, 1, strides, bias=False, initial=HE)
        y = activated(conv(y, filters, 3, strides, 1, bias=False, initial=HE))
        return layers.Add()([shortcut, conv(y, filters, 3, 1, 1, bias=False, initial=HE)])

    inputs = keras.Input(shape)
    x = conv(Normalise()(inputs), FILTERS, 3, 1, 1, bias=False, initial=HE)
    for stage in range(STAGES):
        for number in range(blocks):
            x = block(x, max(1, round(FILTERS * width)) * 2**stage, 2 if stage and not number else 1)
    x = layers.GlobalAveragePooling2D()(activated(x))
    return keras.Model(inputs, dense(layers.Dropout(drop)(x), outputs), name="wrn")
