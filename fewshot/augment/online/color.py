"""Layers that change colours, and DiffAugment, which begins with them."""

from __future__ import annotations

from fewshot.augment.online import Online, ops, policies
from fewshot.augment.online.erasing import Cutout
from fewshot.augment.online.geometry import Shift
from fewshot.augment.pixels import recolor


class ColorJitter(Online):
    """Multiply brightness, contrast and saturation by factors within 1 ± `strength`."""

    def __init__(self, strength: float):
        super().__init__()
        self.strength = strength

    def sample(self, n, shape):
        """Return the three factors of each image, (N, 3)."""
        return (self.uniform((n, 3), 1 - self.strength, 1 + self.strength),)

    def apply(self, x, y, factors):
        """Change the colours."""
        return recolor(x, factors[:, 0], factors[:, 1], factors[:, 2]), y


@policies.register("color-jitter")
def color_jitter():
    """Change brightness, contrast and saturation by up to 40 %."""
    return [ColorJitter(0.4)]


class ColorShift(Online):
    """Add to the brightness, scale saturation and contrast, beyond black and white: DiffAugment's colour.

    Nothing is clipped, so that gradients reach every pixel of a generator's images.
    """

    def sample(self, n, shape):
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


@policies.register("diffaugment", bounded=False)
def diffaugment():
    """Shift colours and pixels (by up to 4), grey out a square (DiffAugment, arXiv 2006.10738)."""
    return [ColorShift(), Shift(4), Cutout(0.5)]
