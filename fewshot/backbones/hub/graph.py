"""KerasHub's networks as graphs of Keras's own layers, from raw pixels to pooled features.

KerasHub's vision transformers are made of layers of its own, each of which holds others. Here the same
network is built of those inner layers alone, with their weights (`blocks`): it can be trained on layer by
layer, and saved models open without KerasHub. Convolutional networks are taken as they are.

Dropout and stochastic depth, which act in training only, are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from fewshot.backbones.hub.blocks import (
    Rotation,
    Tensor,
    copied,
    dense_pair,
    embedded,
    encoded,
    weight_table,
)
from fewshot.backbones.hub.folder import Preset
from fewshot.backbones.layers import Pixels
from fewshot.errors import FewshotError
from fewshot.wording import one_line


def body(x: Tensor, preset: Preset, size: int, pool: str, random: bool) -> Tensor:
    """Return the features of images.

    Parameters
    ----------
    x : raw pixels (N, size, size, 3), from 0 to 255, symbolic.
    preset : whose network it is.
    size : pixels a side.
    pool : "" for the family's own way; otherwise "class", "mean" of the patches, or "both".
    random : whether weights stay as they are initialised, for a control.

    Returns
    -------
    Features (N, D), symbolic.

    Raises
    ------
    FewshotError
        Where KerasHub cannot read the folder.
    """
    network = _loaded(preset, size, random)
    x = Pixels(preset.mean, preset.std, name="pixels")(x)
    return BODIES.get(preset.family, _convolutions)(x, network, size, pool)


def _loaded(preset: Preset, size: int, random: bool) -> Any:
    """Return KerasHub's own network."""
    import keras_hub

    resizes = preset.family.startswith("DINO")  # it brings its positions to any size itself
    try:
        return keras_hub.models.Backbone.from_preset(
            str(preset.folder),
            load_weights=not random,
            dtype="float32",
            **({"image_shape": (size, size, 3)} if resizes else {}),
        )
    except Exception as error:  # KerasHub raises errors of many kinds
        raise FewshotError(f"cannot read the preset {preset.folder}: {one_line(error):.200}") from error


def _dino(x: Tensor, network: Any, size: int, pool: str) -> Tensor:
    patches = network.embeddings.patch_embeddings.projection
    tokens = embedded(x, network.embeddings, patches, size, size)
    turned = None
    if hasattr(network, "rope_embedding"):
        turned = Rotation(tokens, network.rope_embedding, size)
    tokens = encoded(tokens, network.encoder.layers, turned)
    return _pooled(copied(network.layernorm, "norm", tokens), 1 + network.num_register_tokens, pool)


def _vit(x: Tensor, network: Any, size: int, pool: str) -> Tensor:
    embedding, encoder = network.layers[1:3]
    tokens = embedded(x, embedding, embedding.patch_embedding, network.image_shape[0], size)
    tokens = encoded(tokens, encoder.encoder_layers)
    tokens = copied(encoder.layer_norm, "norm", tokens)
    if not getattr(network, "use_class_token", True):
        return ops.mean(tokens, axis=1)
    return _pooled(tokens, 2 if "DeiT" in type(network).__name__ else 1, pool)


def _clip(x: Tensor, network: Any, size: int, pool: str) -> Tensor:
    vision = network.vision_encoder
    embedding = vision.embedding
    tokens = embedded(x, embedding, embedding.patch_embedding, vision.image_shape[0], size)
    tokens = encoded(copied(vision.pre_layer_norm, "pre_norm", tokens), vision.encoder_layers)
    last = getattr(network, "vision_post_layer_norm", None) or vision.layer_norm
    return copied(network.vision_projection, "projection", copied(last, "norm", tokens)[:, 0])


def _siglip(x: Tensor, network: Any, size: int, pool: str) -> Tensor:
    vision, head = network.vision_encoder, network.vision_encoder.head
    embedding = vision.embedding
    tokens = embedded(x, embedding, embedding.patch_embedding, vision.image_shape[0], size)
    tokens = copied(vision.post_layer_norm, "norm", encoded(tokens, vision.encoder_layers))
    probe = weight_table(tokens[:, :1, 0], np.array(head.probe)[0], "probe")
    attended = copied(head.attention, "pooling", probe, tokens, tokens)
    hidden = copied(head.layer_norm, "pooling_norm", attended)
    return (attended + dense_pair(hidden, head.mlp.fc1, head.mlp.fc2, "pooling"))[:, 0]


def _convolutions(x: Tensor, network: Any, size: int, pool: str) -> Tensor:
    x = keras.Model(network.input, network.output, name="network")(x)
    return ops.mean(x, axis=tuple(range(1, len(x.shape) - 1)))


BODIES: dict[str, Callable[[Tensor, Any, int, str], Tensor]] = {
    "DINOV2Backbone": _dino,
    "DINOV3Backbone": _dino,
    "ViTBackbone": _vit,
    "DeiTBackbone": _vit,
    "CLIPBackbone": _clip,
    "MetaCLIP2Backbone": _clip,
    "SigLIPBackbone": _siglip,
}


def _pooled(tokens: Tensor, prefix: int, pool: str) -> Tensor:
    """Return the class token, the mean of the patches, or both. prefix: tokens before the patches."""
    parts = []
    if pool != "mean":
        parts.append(tokens[:, 0])
    if pool in ("mean", "both"):
        parts.append(ops.mean(tokens[:, prefix:], axis=1))
    return layers.Concatenate(name="both")(parts) if len(parts) > 1 else parts[0]
