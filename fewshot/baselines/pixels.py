"""Baselines that look at images as images: neighbours, centroids and patches, registered with their switches.

They take rows of pixels in [0, 1] and tell the shape from their length: square, three colours.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fewshot import backend
from fewshot.baselines import estimators
from fewshot.settings import Count, NotNegative, Part, Positive, Range, Side

Distance = Literal["l1", "l2", "cosine", "ssim"]
Scale = Literal["none", "minmax", "zscore-scalar", "zscore-channel", "zscore-pixel"]
Window = Literal["uniform", "gaussian"]


def _least_size(distance: str, window: str, **_) -> int:
    return {"uniform": 7, "gaussian": 11}[window] if distance == "ssim" else 0


def _libraries(distance: str, **_) -> tuple[str, ...]:
    return ("keras", backend.name()) if distance in ("l1", "ssim") else ()


Filters = Annotated[int, Range(1, 100_000, whole=True)]


@estimators.register("knn", least_size=_least_size, libraries=_libraries)
def knn(*, k: Count = 1, distance: Distance = "l2", scale: Scale = "none", window: Window = "uniform"):
    """The k nearest training images vote; a tie goes to the first of the classes."""
    from fewshot.baselines.neighbours import Neighbours

    return Neighbours(k, distance, scale, window)


@estimators.register("nearest-centroid", least_size=_least_size, libraries=_libraries)
def nearest_centroid(*, distance: Distance = "l2", scale: Scale = "none", window: Window = "uniform"):
    """The class whose mean image is nearest, by any of the distances."""
    from fewshot.baselines.neighbours import Centroids

    return Centroids(distance, scale, window)


@estimators.register("patches", least_size=lambda size, **_: 2 * size)
def patches(
    *,
    count: Filters = 400,
    size: Side = 6,
    alpha: Positive = 1000.0,
    threshold: NotNegative = 1.0,
    pool: Side = 2,
    levels: Side = 1,
    symmetric: bool = False,
    power: Part = 1.0,
):
    """Responses to random patches of the training images, pooled, and ridge regression (Coates & Ng 2011)."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from fewshot.baselines.patches import Patches

    features = Patches(count, size, threshold, pool, levels, symmetric, power)
    return make_pipeline(features, StandardScaler(), RidgeClassifier(alpha))
