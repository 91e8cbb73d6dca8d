"""Fine-tuning: a pretrained backbone as a network like any other, trained on under a new head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from fewshot.backbones import backbones, digest, load
from fewshot.backbones.hub import check_open, is_hub
from fewshot.errors import UsageError
from fewshot.models import networks
from fewshot.settings import Layers, Part, Range, Size, join

Rank = Annotated[int, Range(0, 1024, whole=True)]


def _weights(*, backbone, weights, **_) -> str:
    if is_hub(backbone):
        from importlib.metadata import version

        return f"{digest(backbone, weights or None)} {version('keras-hub')}"
    ours = backbones[backbone].version if backbone in backbones else ""
    return f"{digest(backbone, weights or None)} {ours}".strip()


def _features(*, backbone, size, weights, pool, **_) -> str:
    given = {"weights": weights, "pool": pool}
    return join(
        f"{backbone}@{size}" if size else backbone, {key: value for key, value in given.items() if value}
    )


def _frozen(*, stem, **switches) -> str | None:
    """Return the features that the head sees before anything is trained; None where they are others."""
    return _features(**switches) if stem == "imagenet" else None


@networks.register("tuned", least_size=1, pretrained=_weights, features=_features, frozen=_frozen)
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
    pool: Literal["", "class", "mean", "both"] = "",
    lora: Rank = 0,
):
    """A backbone trained on from its ImageNet weights, under a new dense layer.

    backbone: a registered one. size: the side in which it looks at images; 0, its own. last: only so many of
    its last convolutions are trained; 0, all. fade: the first layer's learning rate as a share of the head's;
    between them it rises evenly from layer to layer (discriminative rates, arXiv 1801.06146). stem: cifar
    replaces the first convolution by a new one, 3×3 with stride 1, as the few-shot report tried (a border of
    zeros before it stays); it is always trained. BatchNorm keeps its statistics and weights: 100 images are
    too few to learn them. pool: how KerasHub's features are pooled. lora: above 0, only a matrix of this rank
    is trained beside the queries and the values of each attention (arXiv 2106.09685); fade and last are for
    the layers themselves.
    """
    import keras
    from keras import layers

    from fewshot.models.layers import dense

    if backbone.startswith("keras/"):
        raise UsageError(f"'{backbone}' is one block here, whose layers cannot be told apart: use it frozen")
    if is_hub(backbone):
        check_open(backbone)
    if lora and last:
        raise UsageError("lora trains no layer of the backbone's own: leave last out")
    if stem == "cifar" and is_hub(backbone):
        raise UsageError(f"stem=cifar is for networks whose layers follow each other, not '{backbone}'")
    body = load(backbone, weights or None, shape, size=size or None, pool=pool)
    body = _small_stem(body) if stem == "cifar" else body
    weighted = list(_weighted(body))
    if lora:
        _adapt(weighted, lora, backbone)
        return keras.Model(body.input, dense(body.output, outputs), name="tuned")
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


def _weighted(model) -> Iterator:
    """Yield the layers with weights, those of models within models, too."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _weighted(layer)
        elif layer.weights:
            yield layer


def _adapt(weighted: list, rank: int, backbone: str) -> None:
    """Freeze all layers, and lay a matrix of a small rank beside the queries and values of attentions."""
    from keras import layers

    attentions = [layer for layer in weighted if isinstance(layer, layers.MultiHeadAttention)]
    if not attentions:
        raise UsageError(f"'{backbone}' has no attention that lora could be beside")
    for layer in weighted:
        layer.trainable = layer in attentions
    for layer in attentions:
        for part in (layer.query_dense, layer.key_dense, layer.value_dense, layer.output_dense):
            part.trainable = part in (layer.query_dense, layer.value_dense)
        for part in (layer.query_dense, layer.value_dense):
            part.enable_lora(rank)
            part.bias.trainable = False


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
