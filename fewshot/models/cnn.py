"""Small convolutional networks for 32×32 images."""

from fewshot.models import networks


@networks.register("baseline", least_size=13)
def baseline(shape, outputs):
    """The few-shot report's testbed network: four 3×3 convolutions, 24,666 parameters at 32×32×3."""
    import keras
    from keras import layers

    from fewshot.models.layers import Normalise, conv, dense, flatten

    inputs = keras.Input(shape)
    x = Normalise()(inputs)
    for filters, strides in ((16, 1), (16, 2), (32, 1), (32, 2)):
        x = layers.Activation("relu")(conv(x, filters, strides=strides))
    return keras.Model(inputs, dense(flatten(x), outputs), name="baseline")
