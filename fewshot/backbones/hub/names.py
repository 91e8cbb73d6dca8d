"""Names of KerasHub's backbones: short ones, presets, addresses and folders, all but the short behind `hub/`.

A name stands for a preset's folder. It lies where the name says, or in the cache once it is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fewshot.io.cache import cache_dir
from fewshot.io.files import slug

PREFIX = "hub/"
KAGGLE, HUGGING_FACE = "kaggle://", "hf://"  # kaggle://OWNER/MODEL/keras/NAME/VERSION, hf://OWNER/NAME
USUAL = 224  # pixels


@dataclass(frozen=True)
class Short:
    """What a short name stands for.

    Parameters
    ----------
    preset : its name in KerasHub.
    family : a key of `FAMILIES`.
    parameters : how many the network has.
    milliseconds : of one core for an image of 224×224, roughly: processor time on a machine that was busy,
        where EfficientNet-Lite0 took 29.
    """

    preset: str
    family: str
    parameters: int
    milliseconds: float


SHORT: Mapping[str, Short] = MappingProxyType(
    {
        "dinov2-small": Short("dinov2_small", "DINOV2Backbone", 22_582_656, 285),
        "dinov2-base": Short("dinov2_base", "DINOV2Backbone", 87_632_640, 1080),
        "siglip2-base": Short("siglip2_base_patch16_224", "SigLIPBackbone", 375_188_230, 900),
        "clip-vit-b32": Short("clip_vit_base_patch32", "CLIPBackbone", 151_277_363, 275),
        "vit-base-21k": Short("vit_base_patch16_224_imagenet21k", "ViTBackbone", 85_798_656, 740),
    }
)


def is_hub(name: str) -> bool:
    """Return whether a backbone is one of KerasHub's."""
    return name.startswith(PREFIX) or name in SHORT


def target(name: str) -> str:
    """Return what a name stands for: a preset of KerasHub, an address, or the path of a folder."""
    text = name.removeprefix(PREFIX)
    return SHORT[text].preset if text in SHORT else text


def is_address(name: str) -> bool:
    """Return whether a name is an address of Kaggle or Hugging Face."""
    return target(name).startswith((KAGGLE, HUGGING_FACE))


def is_remote(name: str) -> bool:
    """Return whether a name is a preset's or an address, not the path of a folder."""
    text = target(name)
    return is_address(name) or not ("/" in text or text.startswith((".", "~")))


def place(name: str) -> Path:
    """Return where the folder of a backbone lies, or will lie once it is fetched."""
    text = target(name)
    return cache_dir() / "hub" / slug(text) if is_remote(name) else Path(text).expanduser()


def size_in(name: str) -> int:
    """Return the first even number from 192 to 1024 in a preset's name, as its size in pixels; otherwise 224.

    `vit_base_patch16_384` looks at images in 384×384.
    """
    sizes = [int(part) for part in re.split(r"[^0-9a-zA-Z]+", target(name)) if part.isdecimal()]
    return next((size for size in sizes if 192 <= size <= 1024 and size % 2 == 0), USUAL)
