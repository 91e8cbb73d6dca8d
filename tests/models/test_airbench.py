"""The network `airbench` and its recipes `speedrun` and `speedrun-sgd` against what was published."""

from dataclasses import replace

import numpy as np
import pytest

from fewshot.models import build
from fewshot.training.recipe import recipes

pytestmark = pytest.mark.usefixtures("started")


def test_the_network_has_the_published_size():
    """1.97 million weights; those of the whitening convolution are not trained."""
    network = build("airbench", (32, 32, 3), 10)
    trained = sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)
    assert trained == 24 + 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256) + 2 * (64 + 256 + 256) + 2560
    assert 2 * 12 * 12 + trained == 1_971_640


def test_an_epoch_has_the_counted_arithmetic():
    """A multiply-add for every kernel value at every position of 31, 15, 7 and 3 pixels a side."""
    from fewshot.models.cost import cost, outline

    counted = cost(outline("airbench", (32, 32, 3), 10)).multiply_adds
    maps = {31: 12 * 24 + 9 * 24 * 64, 15: 9 * (64 * 64 + 64 * 256), 7: 9 * 2 * 256**2, 3: 9 * 256**2}
    assert counted == sum(side**2 * values for side, values in maps.items()) + 2560
    # Two operations each, thrice for an update: 2.8e14 for the 400,000 images of `speedrun`.
    assert 6 * counted * recipes["speedrun"]().images_seen(50_000) == pytest.approx(2.8355e14, rel=1e-3)


@pytest.mark.torch
def test_the_same_updates_as_in_pytorch():
    """From the same weights the same losses: biases of BatchNorm 64 times as fast, all decay alike."""
    torch = pytest.importorskip("torch")
    from fewshot.augment.offline import Examples
    from fewshot.training.engine import Engine

    # A constant rate: Keras's momentum holds rates, PyTorch's gradients, which differ where rates change.
    plain = {"online": "none", "precision": "float32", "schedule": "constant", "learning_rate": 0.3}
    course = {"batch": 96, "updates": 12, "lookahead": 0, "whitening_rate": 0.0}
    recipe = replace(recipes["speedrun-sgd"](), **course, **plain)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 96)
    images = (rng.integers(0, 120, (96, 32, 32, 3)) + 12 * labels[:, None, None, None]).astype(np.uint8)
    examples = Examples(images, np.eye(10, dtype=np.float32)[labels])
    engine = Engine("airbench:width=8", recipe.compiled(), (32, 32, 3), 10, 0)
    engine.begin(examples, 0)
    model, normal, others = _twin(torch, engine.network, width=8)
    ours = engine.fit(examples, recipe, 0).loss

    groups = [
        {"params": normal, "lr": 64 * recipe.learning_rate, "weight_decay": recipe.weight_decay / 64},
        {"params": [model[0].bias], "weight_decay": recipe.weight_decay / 64},
        {"params": others, "weight_decay": recipe.weight_decay},
    ]
    optimizer = torch.optim.SGD(groups, recipe.learning_rate, recipe.momentum, nesterov=True)
    x = torch.from_numpy(_normalised(images)).permute(0, 3, 1, 2).contiguous()
    target, losses = torch.from_numpy(labels), []
    for _ in range(recipe.updates):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x) / 9, target, label_smoothing=0.2)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert np.allclose(ours, losses, rtol=2e-3)


def _normalised(images):
    from fewshot.models.layers import MEAN, STD

    return ((images / 255 - MEAN) / STD).astype(np.float32)


def _twin(torch, network, width):
    """Return the network in PyTorch with the weights of ours, its BatchNorm biases, and all else trained."""
    nn = torch.nn
    layers, channels = [nn.Conv2d(3, 24, 2), nn.GELU()], 24
    for filters in (width, 4 * width, 4 * width):
        for pooled in (True, False):
            layers.append(nn.Conv2d(channels, filters, 3, padding=1, bias=False))
            layers += [nn.MaxPool2d(2)] if pooled else []
            layers += [nn.BatchNorm2d(filters, eps=1e-12), nn.GELU()]
            channels = filters
    model = nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(channels, 10, bias=False))
    kernels = [layer.kernel.numpy() for layer in network.layers if hasattr(layer, "kernel")]
    whole = [module for module in model if isinstance(module, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for module, kernel in zip(whole, kernels, strict=True):
            turned = kernel.T if kernel.ndim == 2 else kernel.transpose(3, 2, 0, 1)
            module.weight.copy_(torch.from_numpy(np.ascontiguousarray(turned)))
        model[0].bias.zero_()
    normal = [module for module in model if isinstance(module, nn.BatchNorm2d)]
    for module in normal:
        module.weight.requires_grad_(False)
    model[0].weight.requires_grad_(False)
    biases = [module.bias for module in normal]
    apart = [*biases, model[0].bias]
    rest = [p for p in model.parameters() if p.requires_grad and all(p is not bias for bias in apart)]
    return model, biases, rest
