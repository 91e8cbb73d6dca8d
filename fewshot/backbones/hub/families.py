"""The families of image models that KerasHub has: their licences, and how their features can be pooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

POOLS = ("class", "mean", "both")


@dataclass(frozen=True)
class Family:
    """A family of networks, a class of backbones in KerasHub.

    Parameters
    ----------
    presets : the folder of its presets in KerasHub's sources.
    licence : of the weights that their authors publish.
    gated : whether the authors' terms have to be accepted before the weights can be fetched.
    pools : the ways in which features can be pooled beside the family's own.
    fixed : whether it takes images only in the size that it was trained in.
    opaque : whether it keeps layers of KerasHub's own, so that it can be neither trained on nor saved.
    """

    presets: str
    licence: str
    gated: bool = False
    pools: tuple[str, ...] = ()
    fixed: bool = False
    opaque: bool = False


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "DINOV2Backbone": Family("dinov2", "Apache-2.0", pools=POOLS),
        "DINOV3Backbone": Family("dinov3", "DINOv3 License, Meta's own", gated=True, pools=POOLS),
        "SigLIPBackbone": Family("siglip", "Apache-2.0"),
        "CLIPBackbone": Family("clip", "MIT"),
        "MetaCLIP2Backbone": Family("metaclip_2", "CC-BY-NC-4.0, not for commercial use"),
        "ViTBackbone": Family("vit", "Apache-2.0", pools=POOLS),
        "DeiTBackbone": Family("deit", "Apache-2.0", pools=POOLS),
        "SwinTransformerBackbone": Family("swin_transformer", "MIT", fixed=True, opaque=True),
        "ResNetBackbone": Family("resnet", "Apache-2.0"),
        "DenseNetBackbone": Family("densenet", "Apache-2.0"),
        "EfficientNetBackbone": Family("efficientnet", "Apache-2.0", opaque=True),
        "MobileNetBackbone": Family("mobilenet", "Apache-2.0", opaque=True),
        "VGGBackbone": Family("vgg", "Apache-2.0"),
    }
)
# The same families by Hugging Face's `model_type`, and by the beginning of timm's `architecture`.
HUGGING_FACE_TYPES = {
    "dinov2": "DINOV2Backbone",
    "dinov2_with_registers": "DINOV2Backbone",
    "dinov3_vit": "DINOV3Backbone",
    "vit": "ViTBackbone",
    "deit": "DeiTBackbone",
    "swin": "SwinTransformerBackbone",
    "metaclip_2": "MetaCLIP2Backbone",
}
TIMM_TYPES = {
    "resnet": "ResNetBackbone",
    "densenet": "DenseNetBackbone",
    "efficientnet": "EfficientNetBackbone",
    "mobilenetv3": "MobileNetBackbone",
    "vgg": "VGGBackbone",
}


def terms(licence: str, gated: bool) -> str:
    """Return a licence, and whether one has to agree to it first: "Apache-2.0", "…; gated"."""
    return f"{licence}; gated" if gated else licence
