"""What learners that train a registered network have in common, whatever computes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from fewshot import backend
from fewshot.augment.offline import size, versions
from fewshot.learners.contract import Learner
from fewshot.registry import Registry
from fewshot.settings import Configurable
from fewshot.training.recipe import Recipe, schedules


@dataclass
class NetworkLearner(Learner):
    """A registered network, trained by a recipe on the task's images and what offline augmentation adds."""

    network: str
    recipe: Recipe = Recipe()
    offline: str = "none"

    def with_training(self, training: Mapping[str, object]) -> Self:
        """Return the learner with some fields of its recipe changed."""
        return replace(self, recipe=replace(self.recipe, **dict[str, Any](training)))

    def examples(self, n: int) -> int:
        """Return how many examples an epoch has for a task of `n` training images."""
        return size(self.offline, n)

    def _described(self, networks: Configurable, optimizers: Registry, engine: int, *libraries: str) -> dict:
        """Return the settings, the versions of what they name, and the libraries that compute.

        networks, optimizers: where the learner's are registered. engine: the version of what trains them.
        """
        expanded = versions(self.offline)
        if set(expanded) != {"none"}:
            libraries += ("albumentations",)
        return {
            **asdict(self),
            "recipe": self.recipe.described(),
            "network": networks.canonical(self.network),
            "versions": {
                "engine": engine,
                "network": networks.version(self.network),
                "optimizer": optimizers[self.recipe.optimizer].version,
                "schedule": schedules[self.recipe.schedule].version,
                "offline": expanded,
            },
            "libraries": backend.versions(*libraries),
        }
