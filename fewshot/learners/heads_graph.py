"""Heads on frozen features as one Keras model: a photo of any size in, probabilities out.

What is trained on views of photos sees them in the saved model, too: the model cuts and shrinks the photo
itself. It is made of Keras's own layers and operations alone, so that Keras opens it anywhere.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from fewshot.backbones.features import network, parse
from fewshot.data.views import GREY
from fewshot.learners.inputs import folded, named
from fewshot.learners.members import Member

BASE = 2.0**11  # of the two digits of a weight
HALF = 2.0**21  # half a grey level, in units of 2⁻²²
EMBEDDING = "embedding"
NEVER = -1e30  # the logit of a class that had no photo

Key = tuple[str, str, bool]  # backbone, view, whether mirrored
Tensor = Any  # a symbolic one of Keras's, of which the backends share no type


def keras_model(members: Sequence[Member], size: int) -> keras.Model:
    """Return the mean of the members' probabilities as a function of raw pixels, (N, height, width, 3).

    size: pixels of the views that the members were trained on.
    """
    pixels = keras.Input((None, None, 3), name="pixels")
    keys = list(dict.fromkeys(key for member in members for row in member.blocks() for key in row))
    features = feature_table(keys, pixels, size)
    answers = [_answer(member, i, features) for i, member in enumerate(members)]
    outputs = layers.Average(name="members")(answers) if len(answers) > 1 else answers[0]
    return keras.Model(pixels, outputs, name="fewshot")


def feature_table(keys: Sequence[Key], pixels: Tensor, size: int) -> dict[Key, Tensor]:
    """Return the features (N, D) of each backbone, view and mirrored view; the graph has a backbone once."""
    squares = view_tensors(pixels, tuple(dict.fromkeys(view for _, view, _ in keys)), size)
    table: dict[Key, Tensor] = {}
    for number, backbone in enumerate(dict.fromkeys(backbone for backbone, _, _ in keys)):
        wanted = [key for key in keys if key[0] == backbone]
        seen = [
            ops.flip(squares[view], axis=2) if mirrored else squares[view] for _, view, mirrored in wanted
        ]
        (term,) = parse(backbone)
        body = named(network(term, (size, size, 3)), f"backbone_{number}")
        rows = body(layers.Concatenate(axis=0)(seen) if len(seen) > 1 else seen[0])
        # Stored features are rounded to half precision: what comes after was trained on such.
        rows = ops.cast(ops.cast(rows, "float16"), "float32")
        rows = ops.reshape(rows, (len(seen), -1, rows.shape[-1]))
        table |= {key: rows[i] for i, key in enumerate(wanted)}
    # What tells unlike photos: named, so that it is found in the saved model.
    table[keys[0]] = layers.Identity(name=EMBEDDING)(table[keys[0]])
    return table


def _answer(member: Member, number: int, features: dict[Key, Tensor]) -> Tensor:
    """Return a member's probabilities, (N, C)."""
    widths = [features[key].shape[-1] for key in next(iter(member.blocks()))]
    kernels = np.split(np.asarray(member.kernel, np.float64), np.cumsum(widths)[:-1])
    bias = np.maximum(np.asarray(member.bias, np.float64), NEVER)
    scalers = []
    for i, scale in enumerate(member.scales):
        scaler, kernels[i], shift = folded(scale, kernels[i], widths[i], f"scale_{number}_{i}")
        scalers.append(scaler)
        bias = bias + shift
    dense = layers.Dense(len(bias), name=f"head_{number}")
    answers = []
    for keys in member.blocks():
        blocks = [scaler(features[key]) for scaler, key in zip(scalers, keys, strict=True)]
        answers.append(
            layers.Softmax()(dense(layers.Concatenate()(blocks) if len(blocks) > 1 else blocks[0]))
        )
    dense.set_weights([np.concatenate(kernels).astype(np.float32), bias.astype(np.float32)])
    return layers.Average()(answers) if len(answers) > 1 else answers[0]


def view_tensors(pixels: Tensor, names: Sequence[str], size: int) -> dict[str, Tensor]:
    """Return views of photos of any size, (N, size, size, 3), as `fewshot.data.views.view` makes them.

    Resampling is a product with a matrix for each side, whose entries are computed of the photo's height and
    width: so it is the same everywhere, in formats that know no such resizing, too.
    """
    down, across = ops.ones_like(pixels[0, :, 0, 0]), ops.ones_like(pixels[0, 0, :, 0])
    height, width = ops.sum(down), ops.sum(across)
    least, most = ops.minimum(height, width), ops.maximum(height, width)
    both = ops.concatenate([down, across])
    squares = {}
    for name in names:
        sides = []
        for line, length in ((down, height), (across, width)):
            if name == "whole":
                first, window = 0.0 * length, length
            elif name == "padded":
                first, window = -ops.floor((most - length) / 2), most
            else:
                share = {"start": 0.0, "centre": 0.5, "end": 1.0}[name]
                first, window = ops.floor(share * (length - least)), least
            sides.append(_fixed_point(line, both, first, window, size))
        # Across first, and whole grey levels in between.
        rows = _resampled("nhwc,sw->nhsc", pixels - GREY, sides[1], (size, 1))
        squares[name] = _resampled("nhsc,th->ntsc", rows, sides[0], (size, 1, 1)) + GREY
    return squares


class Weights(NamedTuple):
    """Weights in units of 2⁻²², as Pillow rounds them: `high` times 2¹¹ plus `low`."""

    high: Tensor  # of each pixel of the side (columns) in each of the result (rows)
    low: Tensor
    all_high: Tensor  # of all pixels of the window, those outside the photo with them, (size,)
    all_low: Tensor


def _resampled(product: str, greys: Tensor, weights: Weights, shape: tuple[int, ...]) -> Tensor:
    """Return sums of grey levels above `GREY`, weighted and rounded to whole levels: Pillow's, to the bit.

    Every intermediate value is a whole number that float32 holds. product: of `numpy.einsum`. shape: that of
    a number for each pixel of the result, such that it can be added to the product.
    """
    high, low = (
        ops.einsum(product, greys, part) + GREY * ops.reshape(total, shape)
        for part, total in ((weights.high, weights.all_high), (weights.low, weights.all_low))
    )
    return ops.floor((high + ops.floor((low + HALF) / BASE)) / BASE) - GREY


def _fixed_point(line: Tensor, both: Tensor, first: Tensor, window: Tensor, size: int) -> Weights:
    """Return the weights of a side's pixels in the pixels of the result.

    line: ones, as many as there are pixels. both: at least as many ones as pixels in the window.
    first, window: where the window begins, and its length; pixels outside the photo count as grey.
    """
    reach = ops.maximum(window, float(size))
    centres = window * (2 * np.arange(size, dtype=np.float32)[:, None] + 1)

    def triangle(at: Tensor) -> Tensor:
        """Return whole numbers in proportion to the weights of pixels, counted from the window's first."""
        inside = ops.cast(ops.logical_and(at >= 0, at < window), "float32")
        return ops.relu(2 * reach - ops.absolute((2 * at + 1) * size - centres)) * inside

    whole = triangle(ops.cumsum(both) - 1)
    total = ops.sum(whole, axis=1, keepdims=True)

    def parts(weights: Tensor) -> tuple[Tensor, Tensor]:
        high = ops.floor(weights * BASE / total)
        return high, ops.floor((weights * BASE - high * total) * BASE / total + 0.5)

    all_high, all_low = (ops.sum(part, axis=1) for part in parts(whole))
    return Weights(*parts(triangle(ops.cumsum(line) - 1 - first)), all_high, all_low)
