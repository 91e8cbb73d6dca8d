"""Members: the fitted linear heads that a `HeadsLearner` averages, each as plain numbers.

What a member is told is all it needs: another implementation (a Keras model, another language) computes the
same from the same fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fewshot.baselines.scales import Scale

# (backbone, view, whether mirrored) → features (N, D), as `fewshot.backbones.features.extract` returns them
FeatureTable: TypeAlias = "Mapping[tuple[str, str, bool], np.ndarray]"


@dataclass(frozen=True, eq=False)
class Member:
    """A fitted candidate: from the features of a photo's views to its probabilities.

    backbones: as `features.extract` takes them, one each: "efficientnet-lite0@224".
    views: names of views. beside: whether their features stand side by side in one row; otherwise each view
    is a row of its own, and the rows' probabilities are averaged.
    mirror: whether the mirrored image gives another row (or as many more), averaged, too.
    scale, head: what the candidate is called by.
    scales: one for each block of a row, in the order of `blocks`.
    kernel, bias: float64 (D, C) and (C,) with D the sum of the blocks' widths; probabilities are the softmax
    of scaled row @ kernel + bias. C counts all classes; one that had no photo has a bias of −inf.
    """

    backbones: tuple[str, ...]
    views: tuple[str, ...]
    beside: bool
    mirror: bool
    scale: str
    head: str
    scales: tuple[Scale, ...]
    kernel: np.ndarray
    bias: np.ndarray

    def blocks(self) -> Iterator[list[tuple[str, str, bool]]]:
        """Yield, for each row that is averaged, the keys of the features side by side in it."""
        yield from rows_of(self.backbones, self.views, self.beside, self.mirror)

    def probabilities(self, features: FeatureTable) -> np.ndarray:
        """Return probabilities, float64 (N, C), from the features of all backbones and views it names."""
        from scipy.special import softmax

        answers = []
        for keys in self.blocks():
            blocks = [scale(features[key]) for scale, key in zip(self.scales, keys, strict=True)]
            answers.append(softmax(np.concatenate(blocks, 1) @ self.kernel + self.bias, axis=1))
        return np.mean(answers, axis=0)


def rows_of(
    backbones: tuple[str, ...], views: tuple[str, ...], beside: bool, mirror: bool
) -> Iterator[list[tuple[str, str, bool]]]:
    """Yield, for each row of a photo, the keys of the features side by side in it."""
    for mirrored in (False, True) if mirror else (False,):
        for together in [views] if beside else [(view,) for view in views]:
            yield [(backbone, view, mirrored) for view in together for backbone in backbones]
