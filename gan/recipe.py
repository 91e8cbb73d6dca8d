"""How a GAN is trained. The default is the few-shot report's; a preset is a recipe with a name."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated

import numpy as np

from fewshot import backend, settings
from fewshot.augment import online
from fewshot.errors import unknown
from fewshot.registry import Registry
from fewshot.seeding import rng
from fewshot.settings import Count, Positive, Range, Share
from gan.networks import architectures

VERSION = 1  # raise it when the results of training change
LOSSES = ("logistic", "hinge")
LABELS = ("separate", "together", "conditional")

presets = Registry("preset")
Batch = Annotated[int, Range(1, 65_536, whole=True)]  # images


@dataclass(frozen=True)
class GanRecipe:
    """A pair of networks under Adam, which take turns: the discriminator's update, then the generator's.

    architecture: a registered pair (`gan.networks`). loss: logistic (non-saturating; Goodfellow 2014) or
    hinge (arXiv 1705.02894). online: the online policy that real and fake images go through before the
    discriminator sees them (differentiable augmentation, arXiv 2006.10738).
    labels: separate, a generator for each class; together, one that knows of no classes; conditional, one
    that is told the class. batch: real images an update, and as many fake ones; fakes: the images of a
    generator's update. ema: samples come from the moving average of its weights of this decay; 0, the last.
    epochs: passes of max(1, ⌈n / batch⌉) updates; or `updates` in all.
    """

    architecture: str = "dcgan"
    loss: str = "logistic"
    online: str = "none"
    labels: str = "separate"
    learning_rate: Positive = 2e-4
    discriminator_rate: Positive = 2e-4
    beta: Share = 0.5
    batch: Batch = 64
    fakes: Batch = 128
    ema: Share = 0.0
    epochs: Count = 200
    updates: Count | None = None

    def __post_init__(self):
        architectures.canonical(self.architecture)
        online.versions(self.online)
        for name, known in (("loss", LOSSES), ("labels", LABELS)):
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        settings.check("a GAN", vars(self), settings.limits_of(type(self)))

    def epoch_steps(self, n: int) -> int:
        """Return the updates of one epoch on `n` images."""
        return max(1, -(-n // self.batch))

    def steps(self, n: int) -> int:
        """Return all updates on `n` images."""
        return self.updates or self.epochs * self.epoch_steps(n)

    def batch_at(self, step: int, n: int, seed: int) -> np.ndarray:
        """Return the positions of the real images of one update, int32 (batch,).

        Every epoch shuffles anew and fills its last batch up by images drawn at random; fewer images than a
        batch are drawn with replacement. Each epoch has a stream of its own: training can start at any.
        """
        epoch, place = divmod(step, self.epoch_steps(n))
        draws = rng(seed, f"gan batches {epoch}")
        if n < self.batch:
            return draws.integers(0, n, self.batch, dtype=np.int32)
        order = draws.permutation(n)
        missing = -n % self.batch
        order = np.concatenate([order, draws.integers(0, n, missing)])
        return order[place * self.batch : (place + 1) * self.batch].astype(np.int32)

    def describe(self) -> dict:
        """Return all that determines the result beside images, seed and threads, as JSON."""
        return {
            **asdict(self),
            "architecture": architectures.canonical(self.architecture),
            "versions": {
                "gan": VERSION,
                "architecture": architectures.version(self.architecture),
                "online": online.versions(self.online),
            },
            "libraries": backend.versions("keras", backend.name(), "numpy"),
        }


FIELDS = {name: value for name, value in asdict(GanRecipe()).items() if name != "updates"} | {"updates": 0}


def parse(text: str) -> GanRecipe:
    """Return the recipe of `PRESET:setting=value,…`; settings are its fields and its architecture's."""
    name, given = settings.split(text)
    recipe = presets[name]()
    network, fixed = settings.split(given.pop("architecture", recipe.architecture))
    of_network = architectures.switches(network)
    values = settings.typed(
        f"the preset '{name}'",
        given,
        of_network | FIELDS,
        {"loss": LOSSES, "labels": LABELS} | settings.limits_of(GanRecipe) | architectures.limits(network),
    )
    switches = fixed | {key: value for key, value in values.items() if key in of_network}
    fields = {key: value for key, value in values.items() if key not in of_network}
    if "epochs" in fields:
        fields.setdefault("updates", None)
    return replace(recipe, architecture=settings.join(network, switches), **fields)


@presets.register("report")
def report():
    """The few-shot report's: DCGAN after Brownlee's tutorial, 200 epochs, a generator for each class."""
    return GanRecipe()


@presets.register("best")
def best():
    """Light and conditional, with differentiable augmentation and averaged weights, in many small updates."""
    return GanRecipe(
        architecture="light",
        online="diffaugment",
        labels="conditional",
        learning_rate=1e-3,
        discriminator_rate=1e-3,
        batch=16,
        fakes=16,
        ema=0.99,
        updates=3000,
    )
