"""Where a saved model looks: which parts of a photo speak for its answer, and which against it.

The feature maps before the last pooling are what a model still knows of places. What each position
contributes to a logit is gradient × activation there, summed over the channels. For a linear head on globally
averaged features that is the head applied before the pooling, the class activation map of Zhou et al.
("Learning Deep Features for Discriminative Localization", 2016, arXiv 1512.04150), and exact; where rows are
scaled to length 1, the length counts as given, so that it is exact up to the photo's scale. For networks with
more after their last convolution it is HiResCAM (Draelos and Carin, 2020, arXiv 2011.08891), the form of
Grad-CAM (Selvaraju et al., 2017, arXiv 1610.02391) that shows places the model does use.

All members, views and mirrored views of a model count as in its answer, each mapped back onto the pixels that
it was made of. The model file alone is needed.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from fewshot import backend
from fewshot.deploy.saved import Saved
from fewshot.errors import UsageError

TINY = 1e-12  # the square of a length is at least so much, as for Keras's UnitNormalization


@dataclass(frozen=True)
class Evidence:
    """What each pixel contributes to an answer.

    label: the class. score: how far its logit is above the mean of all classes', averaged over members and
    views. values: float32 (height, width), above 0 what speaks for the class, below 0 what against it; their
    sum is the score, less what lies on the border of padded views.
    """

    label: int
    score: float
    values: np.ndarray


def explain(saved: Saved, photos: Iterable[np.ndarray]) -> list[Evidence]:
    """Return where a model looks on photos for the answers that it gives.

    photos: uint8 (height, width, 3) as the model takes them: where it takes photos of any size, as
    `fewshot.data.photo.load_pixels(file, view_size)` returns them, otherwise
    `fewshot.data.photo.load_image(file, image_size)`.

    Class activation maps (Zhou et al. 2016) for linear heads on pooled features, HiResCAM (Draelos and Carin
    2020), a faithful Grad-CAM (Selvaraju et al. 2017), for networks: see this module.

    Raises `UsageError` for a model without convolutions: it has no feature maps.
    """
    explainer = Explainer(saved.model)
    return [explainer(photo, int(saved.predict(photo[None])[0].argmax())) for photo in photos]


class Explainer:
    """A saved model taken apart: pixels → feature maps → logits; `UsageError` where there are no such maps.

    Called with a photo and a class it returns the `Evidence`.
    """

    def __init__(self, model: keras.Model):
        graph = _Flat(model)
        self._squares = [square for square, _ in graph.maps]
        maps = [tensor for _, tensor in graph.maps]
        self._body = backend.compile_forward(keras.Model(graph.pixels, maps))
        self._tail = keras.Model(maps, graph.logits)
        self._views = keras.Model(graph.pixels, self._squares)

    def __call__(self, photo: np.ndarray, label: int) -> Evidence:
        """Return what the pixels of a photo (height, width, 3), 0–255, say for or against a class."""
        pixels = np.asarray(photo, np.float32)[None]
        score, contributions = self.contributions(pixels, label)
        share = score / sum(len(rows) for rows in contributions)
        # What does not depend on places (biases, means taken off) is of no place: each view has an equal
        # share of the score, and shows where there is more or less than the mean.
        levelled = [rows - rows.mean((1, 2), keepdims=True) for rows in contributions]
        levelled = [rows + share / rows[0].size for rows in levelled]
        sides = [square.shape[1:3] for square in self._squares]
        sides = [photo.shape[:2] if None in side else side for side in sides]
        spread = [_enlarged(rows, side) for rows, side in zip(levelled, sides, strict=True)]

        def seen(pixels: Any) -> Any:
            squares = self._views(pixels)
            squares = squares if isinstance(squares, list | tuple) else [squares]
            return sum(ops.sum(square[..., 0] * part) for square, part in zip(squares, spread, strict=True))

        # The views are weighted sums of pixels: the derivative takes each view's values back to these.
        _, (back,) = backend.gradients(seen, [pixels])
        return Evidence(label, score, back[0, ..., 0])

    def contributions(self, pixels: np.ndarray, label: int) -> tuple[float, list[np.ndarray]]:
        """Return a class's score, and what each position of the feature maps adds to it.

        The maps are (rows, height, width), a row for each view that the backbone looks at.
        pixels: one photo, float32 (1, height, width, 3). For heads on pooled features the sum of all is the
        score without biases and means.
        """
        maps = self._body(pixels)
        maps = maps if isinstance(maps, list) else [maps]

        def score(*maps: Any) -> Any:
            logits = self._tail(list(maps) if len(maps) > 1 else maps[0])[0]
            return logits[label] - ops.mean(logits)

        total, slopes = backend.gradients(score, maps)
        return total, [
            (np.float64(slope) * values).sum(-1) for slope, values in zip(slopes, maps, strict=True)
        ]


def _enlarged(rows: np.ndarray, side: tuple[int, int]) -> np.ndarray:
    """Return maps (rows, height, width) in the size of what they are of, smooth, with the same sums."""
    from PIL import Image

    height, width = side
    maps = [Image.fromarray(row.astype(np.float32)) for row in rows]
    fine = np.stack([np.asarray(part.resize((width, height), Image.Resampling.BICUBIC)) for part in maps])
    fine = fine * (rows[0].size / (height * width))
    excess = fine.sum((1, 2), dtype=np.float64) - rows.sum((1, 2))
    return fine - (excess / (height * width))[:, None, None].astype(np.float32)


@dataclass(frozen=True)
class _Made:
    """A tensor of a flat graph: what it is made of, and the squares that the sub-model around it looks at."""

    tensor: keras.KerasTensor
    inputs: tuple[keras.KerasTensor, ...]
    square: keras.KerasTensor
    convolved: bool  # whether a convolution lies before it


class _Flat:
    """A model without sub-models, up to the logits; what has no derivative of use is replaced.

    pixels: its input. logits: the mean of the members' and views'. maps: the last feature maps, each with the
    squares that it is of.
    """

    def __init__(self, model: keras.Model):
        self.pixels = keras.Input(model.input_shape[1:], name="photo")
        self._made = {id(self.pixels): _Made(self.pixels, (), self.pixels, False)}
        self._scores: dict[int, keras.KerasTensor] = {}
        self._replacements: dict[int, Callable] = {}
        self._square: keras.KerasTensor | None = None  # what the sub-model that is laid out looks at
        self._lay_out(model, self.pixels)
        if not self._scores:
            raise UsageError("this model has no logits of classes: where it looks cannot be shown")
        self.logits = list(self._scores.values())[-1]
        last = [self._made[id(tensor)] for tensor in self._last_maps()]
        self.maps = [(part.square, part.tensor) for part in last if part.convolved]
        if len(self.maps) < len(last) or not self.maps:
            raise UsageError("this model has no feature maps of convolutions: where it looks cannot be shown")

    def _lay_out(self, model: keras.Model, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Apply a model's layers one by one, those of sub-models, too; return the output."""
        end = layers.Identity(name=f"end_of_{model.name}")
        outputs: list[keras.KerasTensor] = []

        def call(layer: Any, *args: Any, **kwargs: Any) -> keras.KerasTensor:
            if layer is end:
                outputs.append(args[0])
                return args[0]
            return self._apply(layer, *args, **kwargs)

        marked = keras.Model(model.input, end(model.output))
        keras.models.clone_model(marked, inputs, clone_function=lambda layer: layer, call_function=call)
        return outputs[0]

    def _apply(self, layer: Any, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        """Apply one layer or operation, and remember what it made."""
        inputs = tuple(
            tensor for tensor in keras.tree.flatten((args, kwargs)) if isinstance(tensor, keras.KerasTensor)
        )
        inside = self._square is not None
        if isinstance(layer, keras.Model):
            for part in layer.operations:  # two sub-models may have parts of the same names
                part.name = f"{layer.name}.{part.name}"
            if inside:
                return self._lay_out(layer, args[0])
            self._square = args[0]
            output = self._lay_out(layer, args[0])
            self._square = None
            return output
        if isinstance(layer, layers.Softmax) and not inside:
            self._scores[id(inputs[0])] = inputs[0]
            return inputs[0]
        if id(layer) not in self._replacements:
            self._replacements[id(layer)] = _replacement(layer)
        output = self._replacements[id(layer)](*args, **kwargs)
        if id(output) in self._made:  # nothing was done
            return output
        if isinstance(layer, layers.Average) and all(id(tensor) in self._scores for tensor in inputs):
            self._scores[id(output)] = output
        convolved = "Conv" in type(layer).__name__ or any(
            self._made[id(tensor)].convolved for tensor in inputs if id(tensor) in self._made
        )
        square = self._square if inside else self.pixels
        self._made[id(output)] = _Made(output, inputs, square, convolved)
        return output

    def _last_maps(self) -> list[keras.KerasTensor]:
        """Return the last tensors that know places, of all that the logits are made of."""
        maps: dict[int, keras.KerasTensor] = {}
        waiting, seen = [self.logits], set()
        while waiting:
            tensor = waiting.pop()
            if id(tensor) in seen:
                continue
            seen.add(id(tensor))
            if len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) != (1, 1):
                maps[id(tensor)] = tensor
            else:
                waiting += self._made[id(tensor)].inputs
        return list(maps.values())


def _replacement(layer: Any) -> Callable:
    """Return what takes the place of a layer: roundings have a derivative, lengths of rows have none."""
    name = type(layer).__name__
    if name == "Floor":
        floor = _Floor(name=f"{layer.name}_with_slope")
        return lambda x: floor(x) if len(x.shape) == 4 else layer(x)  # pixels, or where a view begins
    if name == "Cast":  # half precision loses small derivatives, and is not needed
        return lambda x: x if "float" in x.dtype else layer(x)
    if isinstance(layer, layers.UnitNormalization):
        return _LengthAsGiven(layer.axis, name=f"{layer.name}_as_given")
    return layer


class _Floor(layers.Layer):
    """Numbers rounded down, with the derivative of numbers that are not."""

    def call(self, x: Any) -> Any:
        """Return the numbers, same shape."""
        return x + ops.stop_gradient(ops.floor(x) - x)


class _LengthAsGiven(layers.Layer):
    """Rows scaled to length 1, whose derivative takes the length for a constant."""

    def __init__(self, axis: int | list[int], name: str):
        super().__init__(name=name)
        self._axis = axis

    def call(self, x: Any) -> Any:
        """Return the rows, same shape."""
        square = ops.sum(ops.square(x), axis=self._axis, keepdims=True)
        return x * ops.stop_gradient(ops.rsqrt(ops.maximum(square, TINY)))
