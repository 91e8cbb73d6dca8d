"""A step of the report's DCGAN, here and in a plain PyTorch loop: `experiments.benchmark --gan`."""

from __future__ import annotations

import functools

import numpy as np

from experiments.benchmark.timing import least_seconds
from fewshot import backend
from fewshot.data import open_splits
from fewshot.data.dataset import Dataset
from fewshot.machine import cores
from gan.recipe import parse

STEPS = 5  # a round
BATCH, FAKES, LATENT = 64, 128, 100


def measure(data, rounds: int, device: str) -> dict[str, float]:
    """Return the least seconds of a step of each, from interleaved rounds after one that compiles."""
    threads = cores()
    backend.start(threads, "cpu")  # where the others compute
    x = open_splits(data.folder).train.x[:50]
    contenders = {"testbed": _ours(x)}
    try:
        contenders["pytorch"] = _pytorch(x, threads)
    except ImportError:
        print("PyTorch is not installed: it is left out")
    return {name: least / STEPS for name, least in least_seconds(contenders, rounds).items()}


def _ours(x: np.ndarray):
    from gan.engine import compiled

    recipe = parse("report")
    engine = compiled(recipe, x.shape[1:], 1)
    engine.reset(0)
    placed = engine.place(Dataset(x, np.zeros(len(x), np.int64), ("one",)))
    batches = [recipe.batch_at(step, len(x), 0) for step in range(STEPS)]
    return functools.partial(engine.run, placed, batches, 0)


def _pytorch(x: np.ndarray, threads: int):
    """Return the same steps as a plain loop: the discriminator on 64 + 64 images, the generator on 128."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layers, channels = [], 3
    for filters, stride in ((64, 1), (128, 2), (128, 2), (256, 2)):
        layers += [nn.Conv2d(channels, filters, 3, stride, 1), nn.LeakyReLU(0.2)]
        channels = filters
    discriminator = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.4), nn.Linear(4096, 1))
    layers, channels = [nn.Linear(LATENT, 4096), nn.LeakyReLU(0.2), nn.Unflatten(1, (256, 4, 4))], 256
    for _ in range(3):
        layers += [nn.ConvTranspose2d(channels, 128, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels = 128
    generator = nn.Sequential(*layers, nn.Conv2d(128, 3, 3, 1, 1), nn.Tanh())
    optimizers = [
        torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (discriminator, generator)
    ]
    images = torch.from_numpy(x).permute(0, 3, 1, 2).float() / 127.5 - 1
    loss = nn.BCEWithLogitsLoss()
    ones, zeros, fooled = torch.ones(BATCH, 1), torch.zeros(BATCH, 1), torch.ones(FAKES, 1)

    def steps():
        for _ in range(STEPS):
            real = images[torch.randint(len(images), (BATCH,))]
            with torch.no_grad():
                fake = generator(torch.randn(BATCH, LATENT))
            optimizers[0].zero_grad()
            logits = discriminator(torch.cat([real, fake]))
            loss(logits, torch.cat([ones, zeros])).backward()
            optimizers[0].step()
            optimizers[1].zero_grad()
            discriminator.requires_grad_(False)
            loss(discriminator(generator(torch.randn(FAKES, LATENT))), fooled).backward()
            discriminator.requires_grad_(True)
            optimizers[1].step()

    return steps


def table(measured: dict[str, float]) -> str:
    """Return the seconds as text."""
    lines = [f"{name:8} {seconds:6.3f} s a step" for name, seconds in measured.items()]
    if "pytorch" in measured:
        lines.append(f"testbed / pytorch: {measured['testbed'] / measured['pytorch']:.2f}")
    return "\n".join(lines)
