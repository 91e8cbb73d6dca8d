"""Players: who is trained in an update. A classifier plays alone; a GAN's two networks take turns."""

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
    """

    objective: Callable[[Any, Any], tuple[Any, Any]]
    weights: Sequence
    optimizer: Any

    def __post_init__(self):
        self.optimizer.build(self.weights)


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
