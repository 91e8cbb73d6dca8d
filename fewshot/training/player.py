"""Players: who is trained in an update. A classifier plays alone; a GAN's two networks take turns."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewshot import backend


@dataclass(frozen=True)
class Player:
    """Weights, the optimiser that moves them, and the objective that it lowers.

    objective(placed, index) -> loss, score: runs in the graph, on placed arrays and the positions of a
    batch; the score is a number worth following beside the loss.
    given: what is given anew at every update beside the learning rate: variables of the optimiser or of the
    loop's state. after(): runs in the graph after each update; it may change weights and state.
    loss_scale: of the loss whose gradients are taken, and divided by it again: in half precision small ones
    would vanish.
    """

    objective: Callable[[Any, Any], tuple[Any, Any]]
    weights: Sequence
    optimizer: Any
    given: Sequence = ()
    after: Callable[[], None] | None = None
    loss_scale: float = 1.0

    def __post_init__(self):
        self.optimizer.build(self.weights)

    @property
    def driven(self) -> list:
        """All that is given anew at every update, the learning rate first."""
        return [self.optimizer.learning_rate, *self.given]

    def unscaled(self, gradients: Sequence) -> Sequence:
        """Return the gradients of the loss itself."""
        return gradients if self.loss_scale == 1 else [g / self.loss_scale for g in gradients]


def loop(players: Sequence[Player], state: Sequence):
    """Return the backend's loop over `players`; `state` is what their objectives change beside weights."""
    return importlib.import_module(f"fewshot.training.{backend.name()}_loop").Loop(players, state)


def assign(variables: Sequence, values: Sequence) -> None:
    """Give every variable its value."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def values(variables: Sequence) -> list[np.ndarray]:
    """Return the values of variables, as `assign` takes them."""
    return [variable.numpy() for variable in variables]
