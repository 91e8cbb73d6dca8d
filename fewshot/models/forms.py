"""What the families of networks share: members that differ in numbers, and a form for small images."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Literal

from fewshot.models import networks

Stem = Literal["auto", "imagenet", "cifar"]
SMALL = 64  # images with a side below it have the small-image form, unless the switch says which


def register_family(build: Callable, members: Mapping[str, tuple], **traits) -> None:
    """Register a network for every member: `build` with its first arguments fixed.

    members: name → what the help says of it, then those arguments.
    """
    for name, (summary, *fixed) in members.items():
        networks.register(name, **traits)(_member(build, summary, fixed))


def _member(build: Callable, summary: str, fixed: list) -> Callable:
    @functools.wraps(build)  # so that its switches are those of `build`
    def member(shape, outputs, **switches):
        return build(*fixed, shape, outputs, **switches)

    member.__doc__ = f"{summary}\n\n{inspect.getdoc(build) or ''}"
    return member


def small_form(stem: Stem, shape: tuple[int, int, int]) -> bool:
    """Return whether the form for small images is meant, by name or, for auto, by size."""
    return stem == "cifar" or (stem == "auto" and min(shape[:2]) < SMALL)


def least_by_stem(imagenet: int, cifar: int) -> Callable[..., int]:
    """Return the trait `least_size` of a network with two forms: a function of its switches."""
    return lambda *, stem, **_: imagenet if stem == "imagenet" else cifar
