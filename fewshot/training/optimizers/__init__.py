"""The optimisers: Keras's, with PyTorch's weight decay and constants.

A definition is a function `(recipe, **common) -> keras.optimizers.Optimizer`; `common` are the arguments that
every optimiser takes here: those of `coupled` classes, and of a moving average of the weights. A new one:

    @optimizers.register("lion")
    def lion(recipe, **common):
        \"\"\"Lion (arXiv 2302.06675).\"\"\"
        import keras

        return coupled(keras.optimizers.Lion)(recipe.learning_rate, **common)

PyTorch adds the decay to the gradient, so that it passes through the momentum; Keras's own `weight_decay`
shrinks the weights beside it (decoupled), which is another optimiser.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from fewshot.registry import Registry, import_all

if TYPE_CHECKING:
    import keras

    from fewshot.training.recipe import Recipe

optimizers = Registry("optimizer")


class Coupled:
    """Adds the decay to the gradients of a Keras optimiser; variables may have shares of their own.

    `lr_scale` is a variable's share of the learning rate (`fewshot.backbones.tuned`), `decay_scale` its share
    of the decay.
    kernels_only: variables of one dimension, biases and normalisations' scales, do not decay.
    whitens: the biases of a whitening layer have a rate of their own, which the loop sets beside the other.
    """

    def __init__(
        self, *args, coupled_weight_decay: float, kernels_only: bool = False, whitens: bool = False, **kwargs
    ):
        super().__init__(*args, **kwargs)
        self.coupled_weight_decay = coupled_weight_decay
        self._kernels_only = kernels_only
        self._whitening_rate = self.add_variable((), name="whitening_rate") if whitens else None

    @property
    def given(self) -> list:
        """The variables that are given anew at every update, beside the learning rate."""
        return [] if self._whitening_rate is None else [self._whitening_rate]

    def build(self, variables):
        """Make the slots, and note every variable's shares: updates see the backend's own variables."""
        if self._kernels_only and self.weight_decay:  # decoupled: Keras wants to know before it builds
            self.exclude_from_weight_decay([v for v in variables if len(v.shape) <= 1])
        super().build(variables)
        self._lr_scales = [getattr(variable, "lr_scale", 1.0) for variable in variables]
        shares = [getattr(variable, "decay_scale", 1.0) for variable in variables]
        if self._kernels_only:
            shares = [share * (len(v.shape) > 1) for share, v in zip(shares, variables, strict=True)]
        self._decays = [self.coupled_weight_decay * share for share in shares]
        apart = self._whitening_rate is not None
        self._whitening = [apart and getattr(variable, "whitening", False) for variable in variables]

    def rate(self, number: int, learning_rate):
        """Return the rate of the variable of a number, where that of all is `learning_rate`."""
        return self._whitening_rate if self._whitening[number] else learning_rate * self._lr_scales[number]

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable by its gradient plus the decay."""
        number = self._get_variable_index(variable)
        gradient = gradient + self._decays[number] * variable
        super().update_step(gradient, variable, self.rate(number, learning_rate))


@functools.cache
def coupled(optimizer: type) -> type:
    """Return a Keras optimiser's class with coupled weight decay and shares of the learning rate."""
    return type(f"Coupled{optimizer.__name__}", (Coupled, optimizer), {"__doc__": optimizer.__doc__})


def make(recipe: Recipe) -> keras.optimizers.Optimizer:
    """Return the optimiser of a recipe, with a moving average of the weights if it asks for one."""
    common = {"use_ema": True, "ema_momentum": recipe.ema} if recipe.ema else {}
    common |= {"kernels_only": True} if recipe.decay_kernels_only else {}
    common |= {"whitens": True} if recipe.whitening_rate else {}
    return optimizers[recipe.optimizer](recipe, coupled_weight_decay=recipe.weight_decay, **common)


@optimizers.register("sgd")
def sgd(recipe, **common):
    """Stochastic gradient descent with momentum."""
    import keras

    momentum = {"momentum": recipe.momentum, "nesterov": recipe.nesterov}
    return coupled(keras.optimizers.SGD)(recipe.learning_rate, **momentum, **common)


@optimizers.register("adagrad")
def adagrad(recipe, **common):
    """Adagrad (Duchi et al. 2011)."""
    import keras

    # From zero, as PyTorch; its epsilon of 1e-10 stands outside the root, Keras's inside.
    return coupled(keras.optimizers.Adagrad)(recipe.learning_rate, 0.0, 1e-20, **common)


@optimizers.register("adadelta")
def adadelta(recipe, **common):
    """Adadelta (arXiv 1212.5701)."""
    import keras

    return coupled(keras.optimizers.Adadelta)(recipe.learning_rate, rho=0.9, epsilon=1e-6, **common)


@optimizers.register("adam")
def adam(recipe, **common):
    """Adam (arXiv 1412.6980)."""
    import keras

    return coupled(keras.optimizers.Adam)(recipe.learning_rate, epsilon=1e-8, **common)


@optimizers.register("adamw")
def adamw(recipe, **common):
    """AdamW, whose decay is decoupled (arXiv 1711.05101)."""
    import keras

    decay = {"weight_decay": recipe.weight_decay, "coupled_weight_decay": 0.0}
    return coupled(keras.optimizers.AdamW)(recipe.learning_rate, epsilon=1e-8, **common | decay)


import_all(__name__, __path__)
