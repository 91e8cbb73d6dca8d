"""Transforms that albumentations has not, written in its idiom, and the safe loading of saved pipelines.

They work inside any `A.Compose`, draw from its generators, keep the image's size and type, and survive
`A.save` and `A.load`.
"""

from __future__ import annotations

import json
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import albumentations as A
import numpy as np
import yaml  # comes with albumentations
from albumentations.core.serialization import SERIALIZABLE_REGISTRY, shorten_class_name
from albumentations.core.transforms_interface import BaseTransformInitSchema
from pydantic import Field

from fewshot.errors import UsageError, unknown

Side = Annotated[int, Field(ge=1)]


class ChannelIsolation(A.ImageOnlyTransform):
    """Keep one channel of the image and set the others to zero.

    Args:
        channel (int): Position of the channel to keep. Default: 0.
        p (float): Probability of applying the transform. Default: 0.5.

    Raises:
        ValueError: If the image has no such channel.

    Targets:
        image, volume

    Image types:
        any

    """

    class InitSchema(BaseTransformInitSchema):
        channel: Annotated[int, Field(ge=0)]

    def __init__(self, channel: int = 0, p: float = 0.5):
        super().__init__(p=p)
        self.channel = channel

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        """Return an image of zeros but for the channel."""
        if img.ndim < 3 or self.channel >= img.shape[-1]:
            raise ValueError(f"ChannelIsolation: no channel {self.channel} in an image of shape {img.shape}")
        alone = np.zeros_like(img)
        alone[..., self.channel] = img[..., self.channel]
        return alone


class PatchPixelShuffle(A.ImageOnlyTransform):
    """Permute the pixels inside each patch of the image, every patch by a permutation of its own.

    This is PatchShuffle as its paper has it (Kang et al., "PatchShuffle Regularization",
    https://arxiv.org/abs/1707.07103), which takes patches of 2×2 and p = 0.05. (To move whole patches
    instead, albumentations has `RandomGridShuffle`.) The channels of a pixel stay together. Patches are
    laid from the upper left corner; those that reach over the edge are cut off by it.

    Args:
        patch_size (tuple[int, int]): Height and width of a patch in pixels. Default: (2, 2).
        p (float): Probability of applying the transform to an image. Default: 0.5.

    Targets:
        image, volume

    Image types:
        any

    """

    class InitSchema(BaseTransformInitSchema):
        patch_size: tuple[Side, Side]

    def __init__(self, patch_size: tuple[int, int] = (2, 2), p: float = 0.5):
        super().__init__(p=p)
        self.patch_size = patch_size

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Return `source`: for each pixel, in reading order, the position of the one that takes its place."""
        height, width = params["shape"][:2]
        down, right = np.arange(height) // self.patch_size[0], np.arange(width) // self.patch_size[1]
        patch = (down[:, None] * (right[-1] + 1) + right).ravel()
        source = np.empty(len(patch), np.intp)
        # Sorted by patch, and inside a patch at random.
        source[np.argsort(patch, kind="stable")] = np.argsort(
            patch + self.random_generator.random(len(patch))
        )
        return {"source": source}

    def apply(self, img: np.ndarray, source: np.ndarray, **params: Any) -> np.ndarray:
        """Return the image with its pixels taken from `source`."""
        return img.reshape(len(source), -1)[source].reshape(img.shape)


def load(path: Path) -> A.Compose:
    """Load a pipeline as `A.save` writes it, YAML or JSON by the file's ending.

    Nothing in the file is executed, and nothing but albumentations' transforms and those of this module
    is made. Raises `UsageError` for a file that is missing or broken, names other transforms, or needs
    more than an image.
    """
    saved = _read(path)
    for part in _parts(saved, path):
        name = shorten_class_name(part["__class_fullname__"])
        transform_class = SERIALIZABLE_REGISTRY.get(name)
        if transform_class is None or transform_class.__module__.split(".")[0] not in (
            "albumentations",
            "fewshot",
        ):
            raise UsageError(f"{path}: {unknown('transform', name, sorted(_transforms()))}")
        for key, what in (("bbox_params", "bounding boxes"), ("keypoint_params", "keypoints")):
            if part.get(key):
                raise UsageError(
                    f"{path} needs {what} ({key}), which images with one label have not: remove it"
                )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of arguments that `A.save` itself writes and ignores
            pipeline = A.from_dict(saved)
        again = pipeline.to_dict()
    except Exception as error:  # whatever a constructor makes of its arguments
        raise UsageError(f"{path} is no valid albumentations pipeline: {_line(error)}") from error
    for part, read_back in zip(_parts(saved, path), _parts(again, path), strict=True):
        if ignored := sorted(part.keys() - read_back.keys()):
            raise UsageError(f"{path}: {part['__class_fullname__']} has no argument '{ignored[0]}'")
    return pipeline if isinstance(pipeline, A.Compose) else A.Compose([pipeline])


def apply(pipeline: A.Compose, image: np.ndarray, name: str) -> np.ndarray:
    """Return the transformed uint8 image; `name` tells the user which transform or file fails.

    Raises `UsageError` if the pipeline needs more than an image, or changes its size or type.
    """
    try:
        changed = pipeline(image=image)["image"]
    except Exception as error:  # whatever a transform raises; the user chose it
        raise UsageError(f"{name} cannot be applied to an image alone: {_line(error)}") from error
    if getattr(changed, "shape", None) != image.shape:
        shape = "×".join(map(str, getattr(changed, "shape", ("?",))))
        raise UsageError(f"{name} changes the images' size from {'×'.join(map(str, image.shape))} to {shape}")
    if changed.dtype != image.dtype:
        raise UsageError(
            f"{name} changes the images' type from {image.dtype} to {changed.dtype}: "
            "leave normalisation to the network"
        )
    return changed


def _read(path: Path) -> dict:
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is broken: {_line(error)}") from error


def _parts(saved: Any, path: Path) -> Iterator[dict]:
    """Yield the saved pipeline and all compositions and transforms in it."""
    waiting = [saved.get("transform") if isinstance(saved, dict) else None]
    while waiting:
        part = waiting.pop()
        inner = part.get("transforms", []) if isinstance(part, dict) else None
        if not isinstance(inner, list) or not isinstance(part.get("__class_fullname__"), str):
            raise UsageError(f"{path} is no albumentations pipeline: write it with A.save(pipeline, FILE)")
        yield part
        waiting += inner


def _transforms() -> Iterator[str]:
    """Yield the names of the transforms that a file may use."""
    for name, transform_class in SERIALIZABLE_REGISTRY.items():
        if transform_class.__module__.startswith(("albumentations.", "fewshot.")) and issubclass(
            transform_class, A.BasicTransform
        ):
            yield name


def _line(error: Exception) -> str:
    """Return the error's message on one line; several libraries write many."""
    return textwrap.shorten(f"{error}" or type(error).__name__, 200)
