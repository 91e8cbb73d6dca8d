"""Optimisers: how weights follow their gradients. The same as the Keras networks', constants included.

A registered class changes the weights in place. Weight decay is PyTorch's: it is added to the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fewshot.registry import Registry
from fewshot.training.recipe import Recipe

optimizers = Registry("optimizer of NumPy networks")  # by the names of `fewshot.training.optimizers`


class Optimizer:
    """What all share: the weights, `slots` of arrays as large beside them, the number of updates so far."""

    slots = 1

    def __init__(self, parameters: Sequence[np.ndarray], recipe: Recipe):
        self._recipe, self._updates = recipe, 0
        self._weights = [(w, *(np.zeros_like(w) for _ in range(self.slots))) for w in parameters]

    def update(self, gradients: Sequence[np.ndarray], rate: float) -> None:
        """Move every weight against its gradient."""
        self._updates += 1
        for (weights, *slots), gradient in zip(self._weights, gradients, strict=True):
            if self._recipe.weight_decay:
                gradient = gradient + self._recipe.weight_decay * weights
            weights += self.move(gradient, rate, *slots)

    def move(self, gradient: np.ndarray, rate: float, *slots: np.ndarray) -> np.ndarray:
        """Return what to add to the weights, and bring the slots up to date."""
        raise NotImplementedError


@optimizers.register("sgd")
class SGD(Optimizer):
    """Stochastic gradient descent with momentum: v ← momentum · v - rate · g, w ← w + v.

    Nesterov's kind looks a step ahead: w ← w + momentum · v - rate · g.
    """

    def move(self, gradient, rate, *slots):
        (velocity,), share = slots, self._recipe.momentum
        step = rate * gradient
        velocity *= share
        velocity -= step
        return share * velocity - step if self._recipe.nesterov else velocity


@optimizers.register("adagrad")
class Adagrad(Optimizer):
    """w ← w - rate · g / √Σg², the sum over all updates (Duchi et al. 2011)."""

    def move(self, gradient, rate, *slots):
        (squares,) = slots
        squares += gradient * gradient
        return -rate * gradient / np.sqrt(squares + 1e-20)


@optimizers.register("adam")
class Adam(Optimizer):
    """Moving averages of gradient and square: w ← w - rate · m̂ / (√v̂ + ε) (arXiv 1412.6980).

    Both begin at zero; the hats stand for making up for that. ε is added before √v gets its hat, as in Keras.
    """

    slots, beta1, beta2, epsilon = 2, 0.9, 0.999, 1e-8

    def move(self, gradient, rate, *slots):
        mean, square = slots
        mean += (1 - self.beta1) * (gradient - mean)
        square += (1 - self.beta2) * (gradient * gradient - square)
        hats = math.sqrt(1 - self.beta2**self._updates) / (1 - self.beta1**self._updates)
        return -rate * hats * mean / (np.sqrt(square) + self.epsilon)
