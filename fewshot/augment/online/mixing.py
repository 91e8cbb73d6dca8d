"""Layers that mix an image and its label with those of its neighbour in the batch."""

from __future__ import annotations

from fewshot.augment.online import Online, keras, ops, policies
from fewshot.augment.pixels import boxes


class Mixup(Online):
    """Blend each image and label with its neighbour's in the batch, which is in random order."""

    def __init__(self, alpha: float):
        super().__init__()
        self.alpha = alpha

    def sample(self, n, shape):
        """Return each image's own share, (N,)."""
        return (keras.random.beta((n,), self.alpha, self.alpha, seed=self.seed),)

    def apply(self, x, y, share):
        """Blend."""
        mixed = [
            ops.reshape(share, (-1, *[1] * (len(v.shape) - 1))) * (v - ops.roll(v, 1, 0)) + ops.roll(v, 1, 0)
            for v in (x, y)
        ]
        return tuple(mixed)


@policies.register("mixup")
def mixup():
    """Blend each image and its label with another's, share from Beta(0.2, 0.2) (arXiv 1710.09412)."""
    return [Mixup(0.2)]


class CutMix(Online):
    """Paste a rectangle of the neighbour in the batch; labels are shared by the area that is pasted."""

    def __init__(self, alpha: float):
        super().__init__()
        self.alpha = alpha

    def sample(self, n, shape):
        """Return centres (N, 2) and the side of each rectangle as a share of the image's, (N,)."""
        return self.uniform((n, 2)), ops.sqrt(
            1 - keras.random.beta((n,), self.alpha, self.alpha, seed=self.seed)
        )

    def apply(self, x, y, centres, side):
        """Paste."""
        inside = boxes(x, centres, ops.stack([side, side], 1))
        pasted = ops.mean(ops.cast(inside, "float32"), (1, 2))
        return ops.where(inside, ops.roll(x, 1, 0), x), y + pasted * (ops.roll(y, 1, 0) - y)


@policies.register("cutmix")
def cutmix():
    """Paste a rectangle of another image, labels by area, from Beta(1, 1) (arXiv 1905.04899)."""
    return [CutMix(1.0)]
