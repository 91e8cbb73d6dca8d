"""ConvNeXt (arXiv 2201.03545) as torchvision builds it, and a small one."""

from __future__ import annotations

from fewshot.models.forms import Stem, least_by_stem, register_family, small_form
from fewshot.settings import Factor, Positive, Share

EPSILON = 1e-6


def _convnext(
    depths,
    dim,
    shape,
    outputs,
    *,
    stem: Stem = "auto",
    drop_path: Share = 0.1,
    scale: Positive = 1e-6,
    width: Factor = 1.0,
):
    """Four stages of blocks: a 7×7 depthwise convolution, layer normalisation, two dense layers with GELU.

    stem: imagenet, patches of 4×4; cifar, of 2×2; auto, cifar below 64×64. drop_path: how often the last
    block is left out for an image in training, earlier ones less in proportion. scale: the weight that
    each block starts with. width: multiplies all channels.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import Normalise, Scale, conv, dense, depthwise

    # torchvision's; Keras's ConvNeXt draws the same.
    def initial():
        return keras.initializers.RandomNormal(stddev=0.02)

    def norm(x):
        return layers.LayerNormalization(epsilon=EPSILON)(x)

    def block(x, rate):
        channels = x.shape[-1]
        y = norm(depthwise(x, 7, 1, 3, initial=initial))
        y = layers.Activation("gelu")(dense(y, 4 * channels, initial=initial))
        y = Scale(scale)(dense(y, channels, initial=initial))
        # One draw an image: the block counts or it does not (stochastic depth, arXiv 1603.09382).
        y = layers.Dropout(rate, noise_shape=(None, 1, 1, 1))(y) if rate else y
        return layers.Add()([x, y])

    dims = [round(dim * width) * 2**stage for stage in range(len(depths))]
    rates = iter(drop_path * i / (sum(depths) - 1) for i in range(sum(depths)))
    patch = 2 if small_form(stem, shape) else 4
    inputs = keras.Input(shape)
    x = norm(conv(Normalise()(inputs), dims[0], patch, patch, initial=initial))
    for stage, depth in enumerate(depths):
        if stage:
            x = conv(norm(x), dims[stage], 2, 2, initial=initial)
        for _ in range(depth):
            x = block(x, next(rates))
    x = norm(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, dense(x, outputs, initial=initial), name="convnext")


register_family(
    _convnext,
    {
        "convnext-tiny": (
            "ConvNeXt-T (arXiv 2201.03545): 28,589,128 parameters at 1000 classes.",
            (3, 3, 9, 3),
            96,
        ),
        "convnext-atto": (
            "ConvNeXt of the smallest size of its second paper (arXiv 2301.00808), a small-image form.",
            (2, 2, 6, 2),
            40,
        ),
    },
    least_size=least_by_stem(imagenet=32, cifar=16),
)
