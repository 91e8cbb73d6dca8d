"""Policies of several layers."""

from __future__ import annotations

from fewshot.augment.online import policies
from fewshot.augment.online.color import ColorJitter
from fewshot.augment.online.erasing import Cutout
from fewshot.augment.online.geometry import Flip, Shift
from fewshot.augment.online.mixing import Mixup


@policies.register("strong")
def strong():
    """Flip, shift-crop, colour jitter, cutout and mixup, one after the other."""
    return [Flip(), Shift(4), ColorJitter(0.4), Cutout(0.5), Mixup(0.2)]
