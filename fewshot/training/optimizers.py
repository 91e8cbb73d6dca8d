"""The optimisers: Keras's, with PyTorch's weight decay and constants.

PyTorch adds the decay to the gradient, so that it passes through the momentum; Keras's own `weight_decay`
shrinks the weights beside it (decoupled), which is another optimiser.
"""

import keras

from fewshot.training.recipe import Recipe


class Coupled:
    """Adds the decay to the gradients of a Keras optimiser; variables may have shares of their own.

    `pace` is a variable's share of the learning rate (`fewshot.backbones.tuned`), `decay` its share of the
    decay.
    """

    def __init__(self, *args, coupled_weight_decay: float, **kwargs):
        super().__init__(*args, **kwargs)
        self.coupled_weight_decay = coupled_weight_decay

    def build(self, variables):
        """Make the slots, and note every variable's shares: updates see the backend's own variables."""
        super().build(variables)
        self._paces = [getattr(variable, "pace", 1.0) for variable in variables]
        self._decays = [self.coupled_weight_decay * getattr(v, "decay", 1.0) for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable by its gradient plus the decay."""
        number = self._get_variable_index(variable)
        gradient = gradient + self._decays[number] * variable
        super().update_step(gradient, variable, learning_rate * self._paces[number])


class CoupledSGD(Coupled, keras.optimizers.SGD):
    """SGD with momentum."""


class CoupledAdagrad(Coupled, keras.optimizers.Adagrad):
    """Adagrad (Duchi et al. 2011)."""


class CoupledAdadelta(Coupled, keras.optimizers.Adadelta):
    """Adadelta (arXiv 1212.5701)."""


class CoupledAdam(Coupled, keras.optimizers.Adam):
    """Adam (arXiv 1412.6980)."""


class PacedAdamW(Coupled, keras.optimizers.AdamW):
    """AdamW, whose own decay is decoupled (arXiv 1711.05101)."""


def make(recipe: Recipe) -> keras.optimizers.Optimizer:
    """Return the optimiser of a recipe, with a moving average of the weights if it asks for one."""
    shared = {"use_ema": True, "ema_momentum": recipe.ema} if recipe.ema else {}
    if recipe.optimizer == "adamw":
        decay = {"weight_decay": recipe.weight_decay, "coupled_weight_decay": 0.0}
        return PacedAdamW(recipe.learning_rate, epsilon=1e-8, **decay, **shared)
    shared |= {"coupled_weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        momentum = {"momentum": recipe.momentum, "nesterov": recipe.nesterov}
        return CoupledSGD(recipe.learning_rate, **momentum, **shared)
    if recipe.optimizer == "adam":
        return CoupledAdam(recipe.learning_rate, epsilon=1e-8, **shared)
    if recipe.optimizer == "adadelta":
        return CoupledAdadelta(recipe.learning_rate, rho=0.9, epsilon=1e-6, **shared)
    # From zero, as PyTorch; its epsilon of 1e-10 stands outside the root, Keras's inside.
    return CoupledAdagrad(recipe.learning_rate, 0.0, 1e-20, **shared)
