"""Ensembles of unlike methods, from new weights: what one of them gets wrong, another may know."""

from __future__ import annotations

from fewshot.methods.catalogue import methods

methods.define(
    "mean-best",
    "mean(0.55*best, 0.15*patches-best:size=4, 0.15*patches-best, 0.15*patches-best:size=10)",
    "the best network from scratch and random patches of three sizes, averaged",
    tags=("ensembles",),
    cost_seconds=100,
)
