"""What a method's name may begin with: the registries whose names are methods, and the prefix of policies."""

from __future__ import annotations

from fewshot.baselines import estimators
from fewshot.baselines.numpy_net import nets
from fewshot.learners.contract import learners
from fewshot.models import networks
from fewshot.registry import Registry

ONLINE = "online:"
HEADS: tuple[Registry, ...] = (networks, nets, estimators, learners)


def registry_of(head: str) -> Registry | None:
    """Return the registry that a head is in; None for no head."""
    return next((registry for registry in HEADS if head in registry), None)
