"""What a preset's folder says, read as far as JSON says it.

A preset is a folder in the form of KerasHub (`config.json`, `image_converter.json`, `model.weights.h5`), of
Hugging Face's transformers (`config.json`, `preprocessor_config.json`, `model.safetensors`) or of timm
(`config.json`, `model.safetensors`). Its configuration is never built: it is read here, and what asks for
code of its own is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot.backbones.hub.families import FAMILIES, HUGGING_FACE_TYPES, TIMM_TYPES, Family, terms
from fewshot.backbones.hub.files import CONFIG, CONVERTER, PREPROCESSOR, README, read_json
from fewshot.backbones.hub.names import USUAL
from fewshot.errors import FewshotError, UsageError
from fewshot.wording import one_line

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
PILLOW = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # the numbers that `resample` is given in


@dataclass(frozen=True)
class Preset:
    """A preset, as the JSON files of its folder describe it.

    Parameters
    ----------
    folder : where it lies.
    form : "keras", "transformers" or "timm".
    family : a key of `FAMILIES`.
    size : pixels a side in which it looks at images by default.
    patch : pixels a side of its patches, the least size; 32 where it has none.
    mean, std : of each channel, of pixels from 0 to 255.
    interpolation : how images are resized, as Keras names it: "bilinear".
    licence : as the folder says it; otherwise that of the weights that the family's authors publish.
    gated : whether the licence has to be agreed to before the weights can be fetched.
    """

    folder: Path
    form: str
    family: str
    size: int
    patch: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    licence: str
    gated: bool

    @property
    def kind(self) -> Family:
        """The family itself."""
        return FAMILIES[self.family]

    @property
    def terms(self) -> str:
        """The licence, and whether one has to agree to it first."""
        return terms(self.licence, self.gated)


def read(folder: Path) -> Preset:
    """Return the preset that a folder describes.

    Raises
    ------
    UsageError
        Where it holds no backbone for images.
    FewshotError
        Where a file is missing or cannot be read, or the configuration asks for code.
    """
    config = read_json(folder / CONFIG)
    form, family = _form_and_family(folder, config)
    try:
        size, patch = _sizes(form, family, config)
        mean, std, interpolation = _preprocessing(folder, form, config)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise FewshotError(f"the preset {folder} cannot be read: {one_line(error)}") from error
    licence, gated = _licence(folder)
    usual = FAMILIES[family]
    return Preset(
        folder,
        form,
        family,
        size,
        patch,
        mean,
        std,
        interpolation,
        licence or usual.licence,
        gated or usual.gated,
    )


def _form_and_family(folder: Path, config: Mapping[str, Any]) -> tuple[str, str]:
    if "registered_name" in config:
        _check_classes(folder, config)
        form, said = "keras", str(config["registered_name"]).rpartition(">")[2]
        family = said if said in FAMILIES else None
    elif "model_type" in config:
        form, said = "transformers", str(config["model_type"])
        family = HUGGING_FACE_TYPES.get(said)
    elif "architecture" in config:
        form, said = "timm", str(config["architecture"])
        family = next((family for start, family in TIMM_TYPES.items() if said.startswith(start)), None)
    else:
        raise UsageError(f"the folder {folder} is no preset of KerasHub, Hugging Face or timm")
    if family is None:
        known = {"keras": FAMILIES, "transformers": HUGGING_FACE_TYPES, "timm": TIMM_TYPES}[form]
        raise UsageError(
            f"the preset {folder} is of another kind, '{said}': backbones for images are {', '.join(known)}"
        )
    return form, family


def _check_classes(folder: Path, config: object) -> None:
    """Raise `FewshotError` where a configuration names a class that is neither Keras's nor KerasHub's."""
    if isinstance(config, Mapping):
        module = config.get("module")
        if isinstance(module, str) and module.split(".")[0] not in ("keras", "keras_hub", "builtins"):
            raise FewshotError(f"the preset {folder} asks for code of '{module}', which is not run")
        if config.get("class_name") in ("Lambda", "__lambda__"):
            raise FewshotError(f"the preset {folder} holds code of its own, which is not run")
        for value in config.values():
            _check_classes(folder, value)
    elif isinstance(config, list):
        for value in config:
            _check_classes(folder, value)


def _sizes(form: str, family: str, config: Mapping[str, Any]) -> tuple[int, int]:
    """Return the size in which the network looks at images, and that of its patches, in pixels a side."""
    values = config.get("config", {}) if form == "keras" else config
    vision = values.get("vision_encoder", {}).get("config", values)
    vision = vision.get("vision_config", vision)
    named = vision.get("image_shape") or vision.get("image_size") or USUAL
    named = named[0] if isinstance(named, list | tuple) else named
    # DINOv2's name 518 pixels, at five times the cost of 224; those of convolutional networks name no size.
    size = USUAL if family.startswith("DINO") or "patch_size" not in vision else int(named)
    patch = vision.get("patch_size", 32)
    return size, int(patch[0] if isinstance(patch, list | tuple) else patch)


def _preprocessing(
    folder: Path, form: str, config: Mapping[str, Any]
) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Return mean and standard deviation, of pixels from 0 to 255, and how images are resized."""
    if form == "keras":
        return _converter(read_json(folder / CONVERTER)["config"])
    if form == "timm":
        said = config["pretrained_cfg"]
        factor, mean, std = 1 / 255, said["mean"], said["std"]
        way = said.get("interpolation", "bilinear")
    else:
        said = read_json(folder / PREPROCESSOR)
        factor = said.get("rescale_factor", 1 / 255)
        mean, std = said.get("image_mean", IMAGENET_MEAN), said.get("image_std", IMAGENET_STD)
        way = said.get("resample", 2)
        way = str(PILLOW.get(way, way))
    mean, std = (tuple(float(value) / factor for value in values) for values in (mean, std))
    return mean, std, way if way in INTERPOLATIONS else "bilinear"


def _converter(said: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Return the same of KerasHub's converter, which computes `scale * pixels + offset`."""
    if "variance" in said:  # as earlier versions of KerasHub wrote it
        deviations = [math.sqrt(value) for value in said["variance"]]
        scale = [said.get("scale", 1.0) / value for value in deviations]
        offset = [-m / s for m, s in zip(said["mean"], deviations, strict=True)]
    else:
        scale, offset = _three(said.get("scale"), 1.0), _three(said.get("offset"), 0.0)
    std = tuple(1 / value for value in scale)
    mean = tuple(-o * s for o, s in zip(offset, std, strict=True))
    return mean, std, str(said.get("interpolation", "bilinear"))


def _three(value: float | list[float] | None, default: float) -> list[float]:
    """Return a value of each channel."""
    return list(value) if isinstance(value, list | tuple) else [default if value is None else value] * 3


def _licence(folder: Path) -> tuple[str, bool]:
    """Return the licence that a folder's README names, "" for none, and whether it speaks of a gate."""
    try:
        text = (folder / README).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return "", False
    header = re.match(r"---\n(.*?)\n---", text, re.S)
    said = dict(re.findall(r"^([\w-]+):\s*[\"']?([^\"'\n]*)", header[1], re.M)) if header else {}
    licence = said.get("license_name") or said.get("license", "")
    return one_line(licence), "extra_gated_prompt" in said
