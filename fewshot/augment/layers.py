"""The layers of online augmentation, in `keras.ops`: they run in the graph of any backend.

Every layer takes a batch of raw images (float, 0–255, (N, height, width, 3)) with their label
distributions (N, classes) and returns both. The random draw and its application stand apart, so that a
test can inject the draw. Keras has layers for most of these; ours do the same work in fewer passes
through memory (the benchmark measures both).
"""

import math

import keras
import numpy as np
from keras import ops, random

from fewshot.augment.pixels import boxes, pick, recolor, reflected, resample, rotations

FILL = 127.5  # mid-grey: about zero after normalisation


class Online(keras.layers.Layer):
    """A layer that draws per batch and applies the draw. The seed is Python's, when it is made."""

    def __init__(self):
        super().__init__()
        self.seed = random.SeedGenerator()

    def call(self, x, y):
        """Return the augmented images and labels."""
        return self.apply(x, y, *self.draw(ops.shape(x)[0], x.shape[1:]))

    def uniform(self, shape, low=0.0, high=1.0):
        """Return uniform numbers from this layer's own generator."""
        return random.uniform(shape, low, high, seed=self.seed)


class Flip(Online):
    """Mirror each image left to right with probability one half."""

    def draw(self, n, shape):
        """Return which images are mirrored, bool (N,)."""
        return (self.uniform((n,)) < 0.5,)

    def apply(self, x, y, mirrored):
        """Mirror the chosen images."""
        height, width = x.shape[1:3]
        columns = ops.arange(width)
        columns = ops.where(mirrored[:, None], columns[::-1], columns)
        return pick(x, ops.arange(height)[None, :, None], columns[:, None, :]), y


class Shift(Online):
    """Shift each image by whole pixels, at most `pixels` each way, reflecting at the border.

    The same as padding by reflection and cropping at random.
    """

    def __init__(self, pixels: int):
        super().__init__()
        self.pixels = pixels

    def draw(self, n, shape):
        """Return the shifts down and right, int (N, 2)."""
        return (ops.cast(ops.floor(self.uniform((n, 2), -self.pixels, self.pixels + 1)), "int32"),)

    def apply(self, x, y, shifts):
        """Shift the images."""
        height, width = x.shape[1:3]
        rows = reflected(ops.arange(height)[None] - shifts[:, :1], height)
        columns = reflected(ops.arange(width)[None] - shifts[:, 1:], width)
        return pick(x, rows[:, :, None], columns[:, None, :]), y


class Affine(Online):
    """Rotate, shear, scale or move each image by a matrix, bilinear, reflecting at the border."""

    def __init__(self, degrees: float):
        super().__init__()
        self.radians = math.radians(degrees)

    def draw(self, n, shape):
        """Return a matrix from output to input coordinates for each image, (N, 2, 3)."""
        return (rotations(self.uniform((n,), -self.radians, self.radians)),)

    def apply(self, x, y, matrices):
        """Resample the images."""
        return resample(x, matrices), y


class ColorJitter(Online):
    """Multiply brightness, contrast and saturation by factors within 1 ± `strength`."""

    def __init__(self, strength: float):
        super().__init__()
        self.strength = strength

    def draw(self, n, shape):
        """Return the three factors of each image, (N, 3)."""
        return (self.uniform((n, 3), 1 - self.strength, 1 + self.strength),)

    def apply(self, x, y, factors):
        """Change the colours."""
        return recolor(x, factors[:, 0], factors[:, 1], factors[:, 2]), y


class ColorShift(Online):
    """Add to the brightness, scale saturation and contrast, beyond black and white: DiffAugment's colour.

    Nothing is clipped, so that gradients reach every pixel of a generator's images.
    """

    def draw(self, n, shape):
        """Return what is added (N,), and the factors of saturation (N,) and contrast (N,)."""
        return self.uniform((n,), -63.75, 63.75), self.uniform((n,), 0, 2), self.uniform((n,), 0.5, 1.5)

    def apply(self, x, y, brightness, saturation, contrast):
        """Change the colours."""
        added, saturation, contrast = (
            ops.reshape(v, (-1, 1, 1, 1)) for v in (brightness, saturation, contrast)
        )
        grey = ops.mean(x, -1, keepdims=True)
        mean = ops.mean(grey, (1, 2), keepdims=True)
        return contrast * (saturation * (x - grey) + grey - mean) + mean + added, y


class Cutout(Online):
    """Grey out a square of `side` times the image's side; its centre may lie anywhere in the image."""

    def __init__(self, side: float):
        super().__init__()
        self.side = side

    def draw(self, n, shape):
        """Return each square's centre, row and column as shares of the image, (N, 2)."""
        return (self.uniform((n, 2)),)

    def apply(self, x, y, centres):
        """Fill the squares."""
        inside = boxes(x, centres, ops.full_like(centres, self.side))
        return ops.where(inside, FILL, x), y


class Erasing(Online):
    """Fill a rectangle of 2–33 % of the area, aspect 0.3–3.3, with noise, in half of the images.

    Its centre lies anywhere, so that the border may cut it off (the paper draws again until it fits).
    """

    def draw(self, n, shape):
        """Return centres (N, 2), sides (N, 2) (0 where nothing is erased) and the noise, like the images."""
        area = self.uniform((n,), 0.02, 0.33)
        aspect = ops.exp(self.uniform((n,), math.log(0.3), math.log(3.3)))
        sides = ops.stack([ops.sqrt(area * aspect), ops.sqrt(area / aspect)], 1)
        chosen = ops.cast(self.uniform((n, 1)) < 0.5, "float32")
        noise = self.uniform((1, *shape), 0, 255)  # one field of noise: rectangles cut it elsewhere
        return self.uniform((n, 2)), sides * chosen, noise

    def apply(self, x, y, centres, sides, noise):
        """Fill the rectangles."""
        return ops.where(boxes(x, centres, sides), noise, x), y


class Mixup(Online):
    """Blend each image and label with its neighbour's in the batch, which is in random order."""

    def __init__(self, alpha: float):
        super().__init__()
        self.alpha = alpha

    def draw(self, n, shape):
        """Return each image's own share, (N,)."""
        return (random.beta((n,), self.alpha, self.alpha, seed=self.seed),)

    def apply(self, x, y, share):
        """Blend."""
        mixed = [
            ops.reshape(share, (-1, *[1] * (len(v.shape) - 1))) * (v - ops.roll(v, 1, 0)) + ops.roll(v, 1, 0)
            for v in (x, y)
        ]
        return tuple(mixed)


class CutMix(Online):
    """Paste a rectangle of the neighbour in the batch; labels are shared by the area that is pasted."""

    def __init__(self, alpha: float):
        super().__init__()
        self.alpha = alpha

    def draw(self, n, shape):
        """Return centres (N, 2) and the side of each rectangle as a share of the image's, (N,)."""
        return self.uniform((n, 2)), ops.sqrt(1 - random.beta((n,), self.alpha, self.alpha, seed=self.seed))

    def apply(self, x, y, centres, side):
        """Paste."""
        inside = boxes(x, centres, ops.stack([side, side], 1))
        pasted = ops.mean(ops.cast(inside, "float32"), (1, 2))
        return ops.where(inside, ops.roll(x, 1, 0), x), y + pasted * (ops.roll(y, 1, 0) - y)


class PatchShuffle(Online):
    """Shuffle the pixels inside every patch×patch square of a `share` of the images."""

    def __init__(self, patch: int, share: float):
        super().__init__()
        self.patch, self.share = patch, share

    def draw(self, n, shape):
        """Return which images are shuffled (N,) and the order of the pixels of each patch."""
        grid = (n, shape[0] // self.patch, shape[1] // self.patch, self.patch**2)
        return self.uniform((n,)) < self.share, ops.argsort(self.uniform(grid), axis=-1)

    def apply(self, x, y, chosen, order):
        """Shuffle; rows and columns beyond the last whole patch stay."""
        size, (height, width) = self.patch, (side // self.patch * self.patch for side in x.shape[1:3])
        row, column = np.indices((height, width))
        inner = row % size * size + column % size
        patch = row // size * (width // size) + column // size
        source = ops.take(ops.reshape(order, (-1, height * width)), patch * size**2 + inner, axis=1)
        top, left = row - row % size, column - column % size
        shuffled = pick(x, top + source // size, left + source % size)
        shuffled = ops.concatenate([shuffled, x[:, height:, :width]], 1)
        shuffled = ops.concatenate([shuffled, x[:, :, width:]], 2)
        return ops.where(chosen[:, None, None, None], shuffled, x), y


class RandAugment(Online):
    """Random operations of one strength: RandAugment, fused.

    Each image draws its operations among identity, rotation, two shears, two translations, brightness,
    contrast, saturation, posterise, solarise, invert and autocontrast. Those that move pixels are combined
    into one matrix and sampled once; then come the colours. (The paper applies them in the order drawn;
    it has equalise and sharpness, and no inversion.)
    """

    KINDS = 13

    def __init__(self, operations: int, magnitude: float):
        super().__init__()
        self.operations, self.magnitude = operations, magnitude

    def draw(self, n, shape):
        """Return how often each image drew each operation (N, 13), and a sign for each of them (N, 13)."""
        kinds = ops.cast(ops.floor(self.uniform((n, self.operations), 0, self.KINDS)), "int32")
        drawn = ops.sum(ops.one_hot(kinds, self.KINDS), 1)
        return drawn, ops.where(self.uniform((n, self.KINDS)) < 0.5, -1.0, 1.0)

    def apply(self, x, y, drawn, signs):
        """Apply the operations."""
        amount = drawn * signs * self.magnitude
        rotation = rotations(amount[:, 1] * math.radians(30))
        zero, one = ops.zeros_like(amount[:, 0]), ops.ones_like(amount[:, 0])
        shear = ops.stack([one, amount[:, 2] * 0.3, zero, amount[:, 3] * 0.3, one, zero], 1)
        shear = ops.reshape(shear, (-1, 2, 3))
        linear = ops.matmul(rotation[:, :, :2], shear[:, :, :2])
        move = ops.stack([amount[:, 4] * 0.45 * x.shape[2], amount[:, 5] * 0.45 * x.shape[1]], 1)
        x = resample(x, ops.concatenate([linear, move[:, :, None]], 2))
        x = recolor(x, *(1 + 0.9 * amount[:, kind] for kind in (6, 7, 8)))
        wide = (-1, 1, 1, 1)
        was = [ops.reshape(drawn[:, kind] > 0, wide) for kind in range(self.KINDS)]
        step = 2.0 ** round(4 * self.magnitude)
        x = ops.where(was[9], ops.floor(x / step) * step, x)
        inverted = 255 - x
        x = ops.where(was[11] | (was[10] & (x > 255 * (1 - self.magnitude))), inverted, x)
        low, high = ops.min(x, (1, 2), keepdims=True), ops.max(x, (1, 2), keepdims=True)
        return ops.where(was[12], (x - low) * (255 / ops.maximum(high - low, 1)), x), y
