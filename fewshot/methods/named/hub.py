"""Heads on the backbones of KerasHub that have short names; needs the extra 'hub', and their weights."""

from __future__ import annotations

from fewshot.backbones.hub import SHORT
from fewshot.methods.catalogue import methods

for _name in SHORT:
    methods.define(
        _name,
        f"heads:backbones={_name}",
        "the best heads on its features of several views, averaged (needs the extra 'hub')",
        tags=("hub",),
    )
