"""KerasHub's networks as graphs of Keras's own layers, from raw pixels to pooled features.

KerasHub's vision transformers are made of layers of its own, each of which holds others. Here the same
network is built of those others alone, with their weights: so that it is trained on layer by layer, and saved
models open without KerasHub. Networks of convolutions are taken as they are.

What only acts in training, dropout and stochastic depth, is left out.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from fewshot.backbones.hub import Preset
from fewshot.backbones.layers import Pixels
from fewshot.errors import FewshotError
from fewshot.wording import one_line

Tensor = Any  # a symbolic one of Keras's

# Where a block of each kind keeps its first norm, its attention, its second norm and its two dense layers.
BLOCKS = {
    "DINOV2Layer": ("norm1", "attention.attention", "norm2", "mlp.fc1", "mlp.fc2"),
    "DINOV3Layer": ("norm1", "attention", "norm2", "mlp.up_proj", "mlp.down_proj"),
    "ViTEncoderBlock": ("layer_norm_1", "mha", "layer_norm_2", "mlp.dense_1", "mlp.dense_2"),
    "DeiTEncoderBlock": ("layer_norm_1", "mha", "layer_norm_2", "mlp.dense", "output_layer.dense"),
    "CLIPEncoderLayer": ("layer_norm_1", "attention", "layer_norm_2", "dense_1", "dense_2"),
    "MetaCLIP2EncoderLayer": ("layer_norm_1", "attention", "layer_norm_2", "dense_1", "dense_2"),
    "SigLIPEncoderLayer": ("layer_norm1", "self_attn", "layer_norm2", "mlp.fc1", "mlp.fc2"),
}


def body(x: Tensor, preset: Preset, size: int, pool: str, random: bool) -> Tensor:
    """Return the features (N, D) of raw pixels (N, size, size, 3).

    pool: "" for the family's own way; otherwise "class", "mean" of the patches, or "both".
    random: with weights as they come, for a control.

    Raises `FewshotError` where KerasHub cannot read the folder.
    """
    network = _loaded(preset, size, random)
    x = Pixels(preset.mean, preset.std, name="pixels")(x)
    return FAMILIES.get(preset.family, _convolutions)(x, network, size, pool)


def _loaded(preset: Preset, size: int, random: bool) -> Any:
    """Return KerasHub's own network."""
    import keras_hub

    shaped = preset.family.startswith("DINO")  # which brings its positions to any size
    try:
        return keras_hub.models.Backbone.from_preset(
            str(preset.folder),
            load_weights=not random,
            dtype="float32",
            **({"image_shape": (size, size, 3)} if shaped else {}),
        )
    except Exception as error:  # KerasHub raises whatever comes up
        raise FewshotError(f"cannot read the preset {preset.folder}: {one_line(error):.200}") from error


def _dino(x: Tensor, network: Any, size: int, pool: str) -> Tensor:
    patches = network.embeddings.patch_embeddings.projection
    tokens = _embedded(x, network.embeddings, patches, size, size)
    turned = None
    if hasattr(network, "rope_embedding"):
        turned = _Rotation(tokens, network.rope_embedding, size)
    tokens = _encoded(tokens, network.encoder.layers, turned)
    return _pooled(_copied(network.layernorm, "norm", tokens), 1 + network.num_register_tokens, pool)


def _vit(x: Tensor, network: Any, size: int, pool: str) -> Tensor:
    embedding, encoder = network.layers[1:3]
    tokens = _embedded(x, embedding, embedding.patch_embedding, network.image_shape[0], size)
    tokens = _encoded(tokens, encoder.encoder_layers)
    tokens = _copied(encoder.layer_norm, "norm", tokens)
    if not getattr(network, "use_class_token", True):
        return ops.mean(tokens, axis=1)
    return _pooled(tokens, 2 if "DeiT" in type(network).__name__ else 1, pool)


def _clip(x: Tensor, network: Any, size: int, pool: str) -> Tensor:
    vision = network.vision_encoder
    embedding = vision.embedding
    tokens = _embedded(x, embedding, embedding.patch_embedding, vision.image_shape[0], size)
    tokens = _encoded(_copied(vision.pre_layer_norm, "pre_norm", tokens), vision.encoder_layers)
    last = getattr(network, "vision_post_layer_norm", None) or vision.layer_norm
    return _copied(network.vision_projection, "projection", _copied(last, "norm", tokens)[:, 0])


def _siglip(x: Tensor, network: Any, size: int, pool: str) -> Tensor:
    vision, head = network.vision_encoder, network.vision_encoder.head
    embedding = vision.embedding
    tokens = _embedded(x, embedding, embedding.patch_embedding, vision.image_shape[0], size)
    tokens = _copied(vision.post_layer_norm, "norm", _encoded(tokens, vision.encoder_layers))
    probe = _table(tokens[:, :1, 0], np.array(head.probe)[0], "probe")
    found = _copied(head.attention, "pooling", probe, tokens, tokens)
    hidden = _copied(head.layer_norm, "pooling_norm", found)
    return (found + _dense_pair(hidden, head.mlp.fc1, head.mlp.fc2, "pooling"))[:, 0]


def _convolutions(x: Tensor, network: Any, size: int, pool: str) -> Tensor:
    x = keras.Model(network.input, network.output, name="network")(x)
    return ops.mean(x, axis=tuple(range(1, len(x.shape) - 1)))


FAMILIES: dict[str, Callable[[Tensor, Any, int, str], Tensor]] = {
    "DINOV2Backbone": _dino,
    "DINOV3Backbone": _dino,
    "ViTBackbone": _vit,
    "DeiTBackbone": _vit,
    "CLIPBackbone": _clip,
    "MetaCLIP2Backbone": _clip,
    "SigLIPBackbone": _siglip,
}


def _pooled(tokens: Tensor, prefix: int, pool: str) -> Tensor:
    """Return the class token, the mean of the patches, or both; so many tokens are no patches."""
    chosen = []
    if pool != "mean":
        chosen.append(tokens[:, 0])
    if pool in ("mean", "both"):
        chosen.append(ops.mean(tokens[:, prefix:], axis=1))
    return layers.Concatenate(name="both")(chosen) if len(chosen) > 1 else chosen[0]


def _copied(layer: Any, name: str, *inputs: Tensor, **changes: Any) -> Tensor:
    """Return what a new layer of the same settings and weights does to the inputs."""
    copy = type(layer).from_config(layer.get_config() | {"name": name, **changes})
    outputs = copy(*inputs)
    copy.set_weights(layer.get_weights())
    return outputs


def _table(line: Tensor, values: np.ndarray, name: str, trainable: bool = True) -> Tensor:
    """Return rows of weights (T, D) as a tensor (…, T, D). line: any numbers (…, T)."""
    positions = ops.cast(ops.cumsum(ops.ones_like(line), axis=-1) - 1, "int32")
    table = layers.Embedding(*values.shape, name=name, trainable=trainable)
    outputs = table(positions)
    table.set_weights([values])
    return outputs


def _embedded(x: Tensor, embedding: Any, patches: layers.Conv2D, made_for: int, size: int) -> Tensor:
    """Return the tokens of an image: its patches behind the class token and the like, with positions.

    All but the patches is one table, which the layer itself gives away on a black image.
    made_for: the pixels that KerasHub's layer has positions for.
    """
    side = patches.kernel_size[0]
    black = np.zeros((1, made_for, made_for, 3), np.float32)
    table = np.array(embedding(black))[0]
    prefix = len(table) - (made_for // side) ** 2
    if patches.use_bias:
        table[prefix:] -= np.array(patches.bias)
    if made_for // side != size // side:
        table = np.concatenate([table[:prefix], _resized(table[prefix:], size // side)])
    x = _copied(patches, "patches", x)
    tokens = layers.Reshape((-1, x.shape[-1]), name="tokens")(x)
    if prefix:
        tokens = layers.ZeroPadding1D((prefix, 0), name="class")(tokens)
    return tokens + _table(tokens[0, :, 0], table, "positions")


def _resized(positions: np.ndarray, side: int) -> np.ndarray:
    """Return the positions of a square grid for a grid of another side, as DINOv2 does it."""
    old = round(len(positions) ** 0.5)
    grid = positions.reshape(1, old, old, -1)
    return np.array(ops.image.resize(grid, (side, side), "bicubic", data_format="channels_last"))[0].reshape(
        side * side, -1
    )


class _Rotation:
    """DINOv3's positions: queries and keys of a patch are turned by angles that say where it lies."""

    def __init__(self, tokens: Tensor, embedding: Any, size: int):
        cosines, sines = map(np.array, embedding(np.zeros((1, size, size, 3), np.float32)))
        prefix = tokens.shape[1] - len(cosines)  # which are not turned
        parts = (
            ("cosines", np.concatenate([np.ones((prefix, cosines.shape[1])), cosines])),
            ("sines", np.concatenate([np.zeros((prefix, sines.shape[1])), sines])),
        )
        self._cosines, self._sines = (
            ops.expand_dims(_table(tokens[0, :, 0], values.astype(np.float32), name, trainable=False), 1)
            for name, values in parts
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Return queries or keys (N, T, heads, D), turned."""
        half = x.shape[-1] // 2
        return x * self._cosines + ops.concatenate([-x[..., half:], x[..., :half]], axis=-1) * self._sines

    def attention(self, x: Tensor, attention: Any, name: str) -> Tensor:
        """Return what DINOv3's attention makes of tokens."""
        query, key, value = (
            layers.Reshape((-1, attention.num_heads, attention.head_dim), name=f"{name}_{part}_heads")(
                _copied(getattr(attention, f"{part}_dense"), f"{name}_{part}", x)
            )
            for part in ("query", "key", "value")
        )
        scores = ops.einsum("nqhd,nkhd->nhqk", self(query), self(key)) * attention.scale
        seen = ops.einsum("nhqk,nkhd->nqhd", ops.softmax(scores), value)
        joined = layers.Reshape((-1, attention.hidden_dim), name=f"{name}_joined")(seen)
        return _copied(attention.output_dense, f"{name}_output", joined)


def _encoded(x: Tensor, blocks: Any, turned: _Rotation | None = None) -> Tensor:
    """Return tokens after all blocks."""
    for number, block in enumerate(blocks):
        name, (*parts, up, down) = f"block_{number}", BLOCKS[type(block).__name__]
        norm1, attention, norm2 = attrgetter(*parts)(block)
        seen = _copied(norm1, f"{name}_norm_1", x)
        if turned is None:
            seen = _copied(attention, f"{name}_attention", seen, seen, seen)
        else:
            seen = turned.attention(seen, attention, f"{name}_attention")
        x = x + _scaled(seen, block, "layer_scale1", f"{name}_scale_1")
        hidden = _hidden(_copied(norm2, f"{name}_norm_2", x), block, (up, down), name)
        x = x + _scaled(hidden, block, "layer_scale2", f"{name}_scale_2")
    return x


def _hidden(x: Tensor, block: Any, dense: tuple[str, str], name: str) -> Tensor:
    """Return tokens after the dense layers of a block, two or, in the largest networks, gated ones."""
    mlp = getattr(block, "mlp", None)
    if hasattr(mlp, "weights_in"):
        first, second = ops.split(_copied(mlp.weights_in, f"{name}_dense_1", x), 2, axis=-1)
        return _copied(mlp.weights_out, f"{name}_dense_2", ops.silu(first) * second)
    if hasattr(mlp, "gate_proj"):
        gate = _activated(
            _copied(mlp.gate_proj, f"{name}_gate", x, activation=None), mlp.gate_proj.activation
        )
        values = _copied(mlp.up_proj, f"{name}_dense_1", x)
        return _copied(mlp.down_proj, f"{name}_dense_2", gate * values)
    up, down = attrgetter(*dense)(block)
    return _dense_pair(x, up, down, name, getattr(block, "activation", None))


def _scaled(x: Tensor, block: Any, part: str, name: str) -> Tensor:
    """Return tokens with each channel multiplied by a weight, where the block has such."""
    if not hasattr(block, part):
        return x
    layer = layers.DepthwiseConv1D(1, use_bias=False, name=name)
    outputs = layer(x)
    layer.set_weights([np.array(getattr(block, part).lambda1)[None, :, None]])
    return outputs


def _dense_pair(x: Tensor, up: Any, down: Any, name: str, activation: Any = None) -> Tensor:
    """Return tokens after two dense layers; activation: the layer between them, where they hold none."""
    function = up.activation if activation is None else activation.activation
    hidden = _activated(_copied(up, f"{name}_dense_1", x, activation=None), function)
    return _copied(down, f"{name}_dense_2", hidden)


def _activated(x: Tensor, function: Callable) -> Tensor:
    """Return the activation, in Keras's operations where KerasHub defines it itself, or ONNX lacks
    TensorFlow's.
    """
    if function.__name__ == "gelu":
        return 0.5 * x * (1.0 + ops.erf(x * 0.5**0.5))
    if function.__name__ == "quick_gelu":
        return x * ops.sigmoid(1.702 * x)
    if function.__name__ == "gelu_approximate":
        return ops.gelu(x, approximate=True)
    return layers.Activation(function)(x)
