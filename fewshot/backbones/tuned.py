"""Fine-tuning: a pretrained backbone as a network like any other, trained on under a new head."""

from typing import Literal

from fewshot.backbones import backbones, digest, load
from fewshot.errors import UsageError
from fewshot.models import networks
from fewshot.settings import Layers, Part, Size


def _weights(*, backbone, weights, **_) -> str:
    version = backbones[backbone].version if backbone in backbones else ""
    return f"{digest(backbone, weights or None)} {version}".strip()


@networks.register("tuned", least_size=1, pretrained=_weights)
def tuned(
    shape,
    outputs,
    *,
    backbone="efficientnet-lite0",
    size: Size = 0,
    last: Layers = 0,
    fade: Part = 0.1,
    stem: Literal["imagenet", "cifar"] = "imagenet",
    weights="",
):
    """A backbone trained on from its ImageNet weights, under a new dense layer.

    backbone: a registered one. size: the side in which it looks at images; 0, its own. last: only so many of
    its last convolutions are trained; 0, all. fade: the first layer's learning rate as a share of the head's;
    between them it rises evenly from layer to layer (discriminative rates, arXiv 1801.06146). stem: cifar
    replaces the first convolution by a new one, 3×3 with stride 1, as the few-shot report tried (a border of
    zeros before it stays); it is always trained. BatchNorm keeps its statistics and weights: 100 images are
    too few to learn them.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import dense

    if backbone.startswith("keras/"):
        raise UsageError(f"'{backbone}' is one block here, whose layers cannot be told apart: use it frozen")
    body = load(backbone, weights or None, shape, size=size or None)
    body = _small_stem(body) if stem == "cifar" else body
    weighted = [layer for layer in body.layers if layer.weights]
    trained = [layer for layer in weighted if not isinstance(layer, layers.BatchNormalization)]
    if last > len(trained):
        raise UsageError(f"'{backbone}' has {len(trained)} convolutions to train. Received: last={last}")
    tunable = trained[-last:]  # all, where last is 0
    lr_scales = {layer: fade + (1 - fade) * i / len(tunable) for i, layer in enumerate(tunable)}
    if stem == "cifar":
        lr_scales[trained[0]] = 1.0
    for layer in weighted:
        layer.trainable = layer in lr_scales
        for variable in layer.trainable_variables:
            variable.lr_scale = lr_scales[layer]  # read by the optimiser
    return keras.Model(body.input, dense(body.output, outputs), name="tuned")


def _small_stem(body):
    """Return the backbone with a new first convolution, 3×3 with stride 1; all else keeps its weights."""
    import keras
    from keras import layers

    first = next(layer for layer in body.layers if isinstance(layer, layers.Conv2D))

    def replaced(layer):
        changes = {"kernel_size": 3, "strides": 1, "padding": "same"} if layer is first else {}
        return type(layer).from_config(layer.get_config() | changes)

    small = keras.models.clone_model(body, clone_function=replaced)
    for old, new in zip(body.layers, small.layers, strict=True):
        if old is not first:
            new.set_weights(old.get_weights())
    return small
