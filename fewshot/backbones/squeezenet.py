"""SqueezeNet 1.1 (arXiv 1602.07360), as keras-squeezenet has it."""

from fewshot.backbones import backbones

FIRES = {
    2: (16, 64),
    3: (16, 64),
    4: (32, 128),
    5: (32, 128),
    6: (48, 192),
    7: (48, 192),
    8: (64, 256),
    9: (64, 256),
}
POOLED_AFTER = (3, 5)


def file_name(name: str) -> str:
    """Return a layer's name in the file: Keras allows no slash in one any more."""
    return name.replace(".", "/")


@backbones.register("squeezenet", weights="squeezenet", size=160, least_size=48, top=True, alias=file_name)
def squeezenet(x, top: bool):
    """SqueezeNet 1.1 (keras-squeezenet): 512 features."""
    from keras import layers

    from fewshot.backbones.layers import CAFFE_MEAN, Pixels, conv, max_pool, relu

    x = Pixels(CAFFE_MEAN, bgr=True)(x)
    x = relu(conv(x, "conv1", 64, 3, 2, "valid", bias=True))
    x = max_pool(x, 3, 2)
    for number, (squeezed, expanded) in FIRES.items():
        x = relu(conv(x, f"fire{number}.squeeze1x1", squeezed, 1, bias=True))
        left = relu(conv(x, f"fire{number}.expand1x1", expanded, 1, bias=True))
        right = relu(conv(x, f"fire{number}.expand3x3", expanded, 3, bias=True))
        x = layers.Concatenate()([left, right])
        if number in POOLED_AFTER:
            x = max_pool(x, 3, 2)
    if top:
        x = relu(conv(x, "conv10", 1000, 1, bias=True))
    return layers.GlobalAveragePooling2D()(x)
