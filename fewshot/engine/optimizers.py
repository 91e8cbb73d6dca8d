"""Optimisers that Keras does not have."""

import keras


class CoupledSGD(keras.optimizers.SGD):
    """SGD with momentum, PyTorch's weight decay and, if asked, a moving average of the weights.

    PyTorch adds the decay to the gradient, so that it passes through the momentum; Keras's own
    `weight_decay` shrinks the weights beside it (decoupled), which is another optimiser.
    """

    def __init__(
        self,
        learning_rate: float,
        momentum: float,
        coupled_weight_decay: float,
        nesterov: bool = False,
        ema: float = 0.0,
    ):
        average = {"use_ema": True, "ema_momentum": ema} if ema else {}
        super().__init__(learning_rate, momentum=momentum, nesterov=nesterov, **average)
        self.coupled_weight_decay = coupled_weight_decay

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable by its gradient plus the decay."""
        super().update_step(gradient + self.coupled_weight_decay * variable, variable, learning_rate)
