"""A network to be trained in seconds: a whitening first layer and six convolutions (arXiv 2404.00498)."""

from __future__ import annotations

from fewshot.models import networks
from fewshot.settings import Width


@networks.register("airbench", version=4, least_size=9)
def airbench(shape, outputs, *, width: Width = 64):
    """The network of airbench94 (arXiv 2404.00498): whitened 2×2 patches, three groups of two convolutions.

    The first layer's kernels are the principal directions of the training images' patches, scaled to the
    same variance, and their negatives; they are not trained. Convolutions begin as the identity as far as
    they can; BatchNorm has no scales, its statistics take two fifths from every batch, and its biases move 64
    times as fast, though they decay no faster.
    width: filters of the first group, four times as many in the others.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import Dirac, Normalise, TorchUniform, Whiten

    def unit(x, filters, pool=False):
        initial = Dirac(9 * x.shape[-1])
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=initial)(x)
        x = layers.MaxPooling2D()(x) if pool else x
        normal = layers.BatchNormalization(momentum=0.6, epsilon=1e-12, scale=False)
        x = normal(x)
        normal.beta.lr_scale, normal.beta.decay_scale = 64.0, 1 / 64  # read by the optimiser
        return layers.Activation("gelu")(x)

    inputs = keras.Input(shape)
    whiten = Whiten(2)
    x = layers.Activation("gelu")(whiten(Normalise()(inputs)))
    whiten.bias.decay_scale = 1 / 64
    for filters in (width, 4 * width, 4 * width):
        x = unit(unit(x, filters, pool=True), filters)
    x = layers.GlobalMaxPooling2D()(x)
    x = layers.Dense(outputs, use_bias=False, kernel_initializer=TorchUniform(x.shape[-1]))(x)
    return keras.Model(inputs, layers.Rescaling(1 / 9)(x), name="airbench")
