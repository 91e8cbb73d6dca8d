"""Muon, update by update: against its statement in NumPy, and against PyTorch's operations."""

import numpy as np
import pytest

from fewshot.training import optimizers
from fewshot.training.optimizers.muon import orthogonalised
from fewshot.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("started")

RECIPE = Recipe(
    optimizer="muon",
    learning_rate=0.2,
    momentum=0.6,
    nesterov=True,
    rest_scale=3.0,
    rest_momentum=0.85,
    weight_decay=0.01,
)
# Two kernels of one shape, which share products, a tall one, a depthwise one; a matrix, a bias.
SHAPES = ((3, 3, 2, 5), (3, 3, 2, 5), (1, 1, 2, 6), (3, 3, 4, 1), (4, 3), (3,))
KERNELS = 3
RATES = (0.2, 0.15, 0.05)


@pytest.fixture
def updates():
    """Weights at the start, and the gradients of three updates."""
    rng = np.random.default_rng(0)
    draw = [[rng.standard_normal(shape).astype(np.float32) for shape in SHAPES] for _ in range(4)]
    return draw[0], draw[1:]


def ours(weights, gradients, recipe=RECIPE):
    """Return the weights after each update by this project's optimiser."""
    import keras

    variables = [keras.Variable(value) for value in weights]
    variables[-1].lr_scale, variables[-1].decay_scale = 64.0, 1 / 64
    optimizer = optimizers.make(recipe)
    optimizer.build(variables)
    states = []
    for rate, drawn in zip(RATES, gradients, strict=True):
        optimizer.learning_rate = rate
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in drawn], variables)
        states.append([variable.numpy() for variable in variables])
    return states


def stated(weights, gradients):
    """Return the same, as github.com/KellerJordan/cifar10-airbench states Muon, in plain NumPy."""
    weights, states = [value.astype(float) for value in weights], []
    momenta = [np.zeros_like(value) for value in weights]
    for rate, drawn in zip(RATES, gradients, strict=True):
        for i, gradient in enumerate(drawn):
            kernel = i < KERNELS
            share = 64 if i == len(weights) - 1 else 1
            momentum = 0.6 if kernel else 0.85
            g = gradient if kernel else gradient + 0.01 / share * weights[i]
            momenta[i] = momentum * momenta[i] + g
            step = g + momentum * momenta[i]
            if not kernel:
                weights[i] = weights[i] - 3 * share * rate * step
                continue
            filters = weights[i].shape[-1]
            weights[i] = weights[i] * np.sqrt(filters) / np.linalg.norm(weights[i])
            x = np.moveaxis(step, -1, 0).reshape(filters, -1)  # PyTorch's layout, a filter a row
            x = x / (np.linalg.norm(x) + 1e-7)
            x = x.T if len(x) > x.shape[1] else x
            for _ in range(3):
                gram = x @ x.T
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            x = x.T if len(x) != filters else x
            turned = np.moveaxis(x.reshape(filters, *step.shape[:-1]), 0, -1)
            weights[i] = weights[i] - rate * turned
        states.append([value.copy() for value in weights])
    return states


def test_every_update_is_the_stated_one(updates):
    for mine, theirs in zip(ours(*updates), stated(*updates), strict=True):
        for value, expected in zip(mine, theirs, strict=True):
            assert np.allclose(value, expected, rtol=1e-4, atol=1e-5)


def test_in_half_precision_it_is_nearly_the_same(updates):
    from dataclasses import replace

    half = ours(*updates, recipe=replace(RECIPE, precision="bfloat16"))[-1]
    full = ours(*updates)[-1]
    gaps = [np.abs(a - b).max() for a, b in zip(half, full, strict=True)]
    assert 1e-5 < max(gaps[:KERNELS]) < 0.02
    assert max(gaps[KERNELS:]) == 0  # what is not multiplied stays in float32


def test_singular_values_come_near_one():
    """Of random matrices three steps bring all but the least above a half, and none much above 1."""
    x = np.random.default_rng(0).standard_normal((3, 40, 90)).astype(np.float32)
    for matrices in (x, x.transpose(0, 2, 1)):
        turned = np.asarray(orthogonalised(matrices, "float32"))
        values = np.linalg.svd(turned, compute_uv=False)
        assert turned.shape == matrices.shape
        assert 0.5 < values.min() < values.max() < 1.3
    assert not np.asarray(orthogonalised(np.zeros((1, 2, 3), np.float32), "float32")).any()


def test_no_gradient_leaves_a_kernel_in_its_direction(updates):
    """Before each step a kernel is scaled to norm √filters; without a gradient that is all."""
    weights, gradients = updates
    still = [[np.zeros_like(value) for value in drawn] for drawn in gradients]
    kernel = ours(weights, still)[-1][0]
    assert np.allclose(kernel, weights[0] * np.sqrt(5) / np.linalg.norm(weights[0]), rtol=1e-5)


@pytest.mark.torch
def test_every_update_is_pytorch_s(updates):
    """The record's own operations in bfloat16, gradients and weights in float32."""
    torch = pytest.importorskip("torch")
    from dataclasses import replace

    weights, gradients = updates
    kernels = [torch.from_numpy(value.transpose(3, 2, 0, 1).copy()) for value in weights[:KERNELS]]
    bias = torch.nn.Parameter(torch.from_numpy(weights[-1].copy()))
    group = {"params": [bias], "lr": 3 * 64 * RATES[0], "weight_decay": 0.01 / 64}
    rest = torch.optim.SGD([group], 1.0, momentum=0.85, nesterov=True)
    buffers = [torch.zeros_like(value) for value in kernels]
    for step, mine in enumerate(ours(weights, gradients, replace(RECIPE, precision="bfloat16"))):
        for kernel, buffer, gradient in zip(kernels, buffers, gradients[step], strict=False):
            g = torch.from_numpy(gradient.transpose(3, 2, 0, 1).copy())
            buffer.mul_(0.6).add_(g)
            g = g.add(buffer, alpha=0.6)
            kernel.mul_(len(kernel) ** 0.5 / kernel.norm())
            x = g.reshape(len(g), -1).bfloat16()
            x /= x.norm() + 1e-7
            x = x.T if len(kernel) > x.shape[1] else x
            for _ in range(3):
                gram = x @ x.T
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            x = x.T if len(x) != len(kernel) else x
            kernel.add_(x.reshape(kernel.shape).float(), alpha=-RATES[step])
        rest.param_groups[0]["lr"] = 3 * 64 * RATES[step]
        bias.grad = torch.from_numpy(gradients[step][-1].copy())
        rest.step()
        for kernel, value in zip(kernels, mine, strict=False):
            assert np.allclose(value, kernel.numpy().transpose(2, 3, 1, 0), atol=0.02)
        assert np.allclose(mine[-1], bias.detach().numpy(), rtol=1e-4)
