"""The parts of vision transformers, rebuilt from the layers inside KerasHub's own, with their weights.

KerasHub's blocks are found by their class; a new kind of block is a line of `BLOCKS`.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np
from keras import layers, ops

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


def copied(layer: Any, name: str, *inputs: Tensor, **changes: Any) -> Tensor:
    """Return what a new layer of the same settings and weights does to the inputs."""
    copy = type(layer).from_config(layer.get_config() | {"name": name, **changes})
    outputs = copy(*inputs)
    copy.set_weights(layer.get_weights())
    return outputs


def weight_table(line: Tensor, values: np.ndarray, name: str, trainable: bool = True) -> Tensor:
    """Return rows of weights (T, D) as a tensor (…, T, D). line: any numbers (…, T)."""
    positions = ops.cast(ops.cumsum(ops.ones_like(line), axis=-1) - 1, "int32")
    table = layers.Embedding(*values.shape, name=name, trainable=trainable)
    outputs = table(positions)
    table.set_weights([values])
    return outputs


def embedded(x: Tensor, embedding: Any, patches: layers.Conv2D, made_for: int, size: int) -> Tensor:
    """Return the tokens of an image: its patches behind the class token and the like, with positions.

    What is added to the patches is one table: what KerasHub's layer returns for a black image.
    made_for: the size of images, in pixels a side, that KerasHub's layer has positions for.
    """
    side = patches.kernel_size[0]
    black = np.zeros((1, made_for, made_for, 3), np.float32)
    table = np.array(embedding(black))[0]
    prefix = len(table) - (made_for // side) ** 2
    if patches.use_bias:
        table[prefix:] -= np.array(patches.bias)
    if made_for // side != size // side:
        table = np.concatenate([table[:prefix], _resized(table[prefix:], size // side)])
    x = copied(patches, "patches", x)
    tokens = layers.Reshape((-1, x.shape[-1]), name="tokens")(x)
    if prefix:
        tokens = layers.ZeroPadding1D((prefix, 0), name="class")(tokens)
    return tokens + weight_table(tokens[0, :, 0], table, "positions")


def _resized(positions: np.ndarray, side: int) -> np.ndarray:
    """Return the positions of a square grid for a grid of another side, as DINOv2 does it."""
    old = round(len(positions) ** 0.5)
    grid = positions.reshape(1, old, old, -1)
    return np.array(ops.image.resize(grid, (side, side), "bicubic", data_format="channels_last"))[0].reshape(
        side * side, -1
    )


class Rotation:
    """DINOv3's positions: queries and keys of a patch are turned by angles that say where it lies.

    Parameters
    ----------
    tokens : of the images, (N, T, D), symbolic: the patches are the last.
    embedding : KerasHub's layer that returns the cosines and sines of images.
    size : of the images, in pixels a side.
    """

    def __init__(self, tokens: Tensor, embedding: Any, size: int):
        cosines, sines = map(np.array, embedding(np.zeros((1, size, size, 3), np.float32)))
        prefix = tokens.shape[1] - len(cosines)  # tokens before the patches, which are not turned
        parts = (
            ("cosines", np.concatenate([np.ones((prefix, cosines.shape[1])), cosines])),
            ("sines", np.concatenate([np.zeros((prefix, sines.shape[1])), sines])),
        )
        self._cosines, self._sines = (
            ops.expand_dims(
                weight_table(tokens[0, :, 0], values.astype(np.float32), name, trainable=False), 1
            )
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
                copied(getattr(attention, f"{part}_dense"), f"{name}_{part}", x)
            )
            for part in ("query", "key", "value")
        )
        scores = ops.einsum("nqhd,nkhd->nhqk", self(query), self(key)) * attention.scale
        seen = ops.einsum("nhqk,nkhd->nqhd", ops.softmax(scores), value)
        joined = layers.Reshape((-1, attention.hidden_dim), name=f"{name}_joined")(seen)
        return copied(attention.output_dense, f"{name}_output", joined)


def encoded(x: Tensor, blocks: Any, turned: Rotation | None = None) -> Tensor:
    """Return tokens after all blocks."""
    for number, block in enumerate(blocks):
        name, (*parts, up, down) = f"block_{number}", BLOCKS[type(block).__name__]
        norm1, attention, norm2 = attrgetter(*parts)(block)
        seen = copied(norm1, f"{name}_norm_1", x)
        if turned is None:
            seen = copied(attention, f"{name}_attention", seen, seen, seen)
        else:
            seen = turned.attention(seen, attention, f"{name}_attention")
        x = x + _scaled(seen, block, "layer_scale1", f"{name}_scale_1")
        hidden = _hidden(copied(norm2, f"{name}_norm_2", x), block, (up, down), name)
        x = x + _scaled(hidden, block, "layer_scale2", f"{name}_scale_2")
    return x


def _hidden(x: Tensor, block: Any, dense: tuple[str, str], name: str) -> Tensor:
    """Return tokens after the dense layers of a block, two or, in the largest networks, gated ones."""
    mlp: Any = getattr(block, "mlp", None)
    if hasattr(mlp, "weights_in"):
        first, second = ops.split(copied(mlp.weights_in, f"{name}_dense_1", x), 2, axis=-1)
        return copied(mlp.weights_out, f"{name}_dense_2", ops.silu(first) * second)
    if hasattr(mlp, "gate_proj"):
        gate = _activated(copied(mlp.gate_proj, f"{name}_gate", x, activation=None), mlp.gate_proj.activation)
        values = copied(mlp.up_proj, f"{name}_dense_1", x)
        return copied(mlp.down_proj, f"{name}_dense_2", gate * values)
    up, down = attrgetter(*dense)(block)
    return dense_pair(x, up, down, name, getattr(block, "activation", None))


def _scaled(x: Tensor, block: Any, part: str, name: str) -> Tensor:
    """Return tokens with each channel multiplied by a weight, where the block has such."""
    if not hasattr(block, part):
        return x
    layer = layers.DepthwiseConv1D(1, use_bias=False, name=name)
    outputs = layer(x)
    layer.set_weights([np.array(getattr(block, part).lambda1)[None, :, None]])
    return outputs


def dense_pair(x: Tensor, up: Any, down: Any, name: str, activation: Any = None) -> Tensor:
    """Return tokens after two dense layers. activation: the layer between them; None where `up` holds it."""
    function = up.activation if activation is None else activation.activation
    hidden = _activated(copied(up, f"{name}_dense_1", x, activation=None), function)
    return copied(down, f"{name}_dense_2", hidden)


def _activated(x: Tensor, function: Callable) -> Tensor:
    """Return the activation, in operations of Keras that all formats of export know.

    KerasHub defines some itself, and ONNX lacks TensorFlow's GELU.
    """
    if function.__name__ == "gelu":
        return 0.5 * x * (1.0 + ops.erf(x * 0.5**0.5))
    if function.__name__ == "quick_gelu":
        return x * ops.sigmoid(1.702 * x)
    if function.__name__ == "gelu_approximate":
        return ops.gelu(x, approximate=True)
    return layers.Activation(function)(x)
