"""Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): kernels move along orthogonalised momenta."""

from __future__ import annotations

import functools
import math

from fewshot.backend import Lazy
from fewshot.training.optimizers import Coupled, optimizers

keras, ops = Lazy("keras"), Lazy("keras.ops")

# An odd polynomial that brings every singular value near 1 in few steps; the record's of arXiv 2404.00498.
POLYNOMIAL, STEPS, LEAST_NORM = (3.4445, -4.7750, 2.0315), 3, 1e-7


@optimizers.register("muon")
def muon(recipe, **common):
    """Convolutions' kernels by Muon, each scaled to norm √filters before; all else by SGD, Nesterov's or not.

    The recipe's decay is of all else alone. Newton–Schulz's products are made in bfloat16, unless the recipe
    computes in float32.
    """
    return _class()(
        recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        rest_scale=recipe.rest_scale,
        rest_momentum=recipe.rest_momentum,
        products="float32" if recipe.precision == "float32" else "bfloat16",
        **common,
    )


def orthogonalised(x, dtype: str):
    """Return matrices (N, rows, columns) with their singular values brought near 1, in `dtype`.

    All of them go through Newton–Schulz's iteration together: X ← aX + (bG + cG²) X with G = XXᵀ, on the side
    where G is the smaller one.
    """
    first, second, third = POLYNOMIAL
    tall = x.shape[1] > x.shape[2]
    x = ops.cast(ops.transpose(x, (0, 2, 1)) if tall else x, dtype)
    norm = ops.sqrt(ops.sum(ops.square(ops.cast(x, "float32")), (1, 2), keepdims=True))
    x = x / ops.cast(norm + LEAST_NORM, dtype)
    for _ in range(STEPS):
        gram = ops.matmul(x, ops.transpose(x, (0, 2, 1)))
        x = first * x + ops.matmul(second * gram + third * ops.matmul(gram, gram), x)
    return ops.transpose(x, (0, 2, 1)) if tall else x


class Muon(Coupled):
    """The rules of `muon`; PyTorch's momentum, which holds gradients, where Keras's SGD holds steps.

    momentum: of kernels. rest_scale, rest_momentum: what all else has of the learning rate, and its momentum.
    products: the type in which Newton–Schulz multiplies.
    """

    def __init__(self, learning_rate, *, momentum, nesterov, rest_scale, rest_momentum, products, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self._momentum, self._rest_momentum = momentum, rest_momentum
        self._nesterov, self._rest_scale, self._products = nesterov, rest_scale, products

    def build(self, variables):
        """Make the momenta, and group kernels by the shape of their matrices: one product serves a group."""
        super().build(variables)
        self._momenta = [self.add_variable_from_reference(v, name="momentum") for v in variables]
        self._groups: dict[tuple[int, int], list[int]] = {}
        for number, variable in enumerate(variables):
            # Of a depthwise kernel each channel's is a vector: there is nothing to make orthogonal.
            if len(variable.shape) == 4 and variable.shape[-1] > 1:
                shape = math.prod(variable.shape[:-1]), variable.shape[-1]
                self._groups.setdefault(shape, []).append(number)
        self._kernels = {number for numbers in self._groups.values() for number in numbers}

    def apply(self, grads, trainable_variables=None):
        """Update all variables: kernels' gradients become directions first, group by group."""
        directions = list(grads)
        for shape, numbers in self._groups.items():
            moving = [self._moved(number, grads[number], self._momentum) for number in numbers]
            turned = orthogonalised(
                ops.stack([ops.reshape(moved, shape) for moved in moving]), self._products
            )
            for place, number in enumerate(numbers):
                directions[number] = ops.cast(
                    ops.reshape(turned[place], grads[number].shape), grads[number].dtype
                )
        super().apply(directions, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable: a kernel along its direction, all else by its gradient plus the decay."""
        number = self._get_variable_index(variable)
        value = ops.convert_to_tensor(variable)
        rate = ops.cast(self.rate(number, learning_rate), value.dtype)
        if number in self._kernels:
            scale = math.sqrt(variable.shape[-1]) / ops.sqrt(ops.sum(ops.square(value)))
            self.assign(variable, scale * value - rate * gradient)
            return
        gradient = gradient + self._decays[number] * value
        self.assign_sub(variable, rate * self._moved(number, gradient, self._rest_momentum))

    def rate(self, number, learning_rate):
        """Return the rate of the variable of a number."""
        unscaled = number in self._kernels or self._whitening[number]
        return super().rate(number, learning_rate if unscaled else learning_rate * self._rest_scale)

    def _moved(self, number: int, gradient, momentum: float):
        """Add a gradient to its momentum; return what of both is the step."""
        slot = self._momenta[number]
        moved = momentum * slot + gradient
        self.assign(slot, moved)
        return gradient + momentum * moved if self._nesterov else moved


@functools.cache
def _class() -> type:
    """Return Muon as a class of Keras's, which is imported now."""
    return type("KerasMuon", (Muon, keras.optimizers.Optimizer), {"__doc__": Muon.__doc__})
