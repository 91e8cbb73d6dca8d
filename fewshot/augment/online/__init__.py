"""Online augmentation: images are drawn anew at every update, inside the graph.

A policy is a list of layers, applied in order to every batch; `flip+cutout` is one policy after the other.
Unlike offline augmentation it leaves the number of images and of updates as they are. Every file of this
folder may register some, each beside its layer:

    @policies.register("invert")
    class Invert(Online):
        \"\"\"Invert half of the images.\"\"\"

        def sample(self, n, shape):
            return (self.uniform((n, 1, 1, 1)) < 0.5,)

        def apply(self, x, y, inverted):
            return ops.where(inverted, 255 - x, x), y

Layers take a batch of raw images (float, 0–255, (N, height, width, 3)) with their label distributions
(N, classes) and return both, by `keras.ops` in the graph of any backend. What is random is sampled apart
from its application, so that a test can inject it. Keras has layers for most of these; ours do the same work
in fewer passes through memory (measured by the benchmark of online augmentation).
"""

from __future__ import annotations

from fewshot.backend import Lazy
from fewshot.registry import Registry, import_all

keras, ops = Lazy("keras"), Lazy("keras.ops")  # lists and helps need no Keras

# A layer's class, or a function that returns one or a list. Trait: `bounded`, False where pixels may leave
# 0–255.
policies = Registry("online policy")


class Online:
    """A layer of online augmentation: `sample` says what is random about a batch, `apply` does it.

    What it samples follows from Python's seed when the layer is made, and from how often it was called since.
    in_turn: what would be sampled takes turns instead, epoch by epoch: whoever trains passes `apply` which
    images of the batch are turned (`fewshot.training.recipe.Recipe.batches`).
    """

    in_turn = False

    def __init__(self):
        self.seed = keras.random.SeedGenerator()

    @property
    def variables(self) -> list:
        """The state of the layer's generator."""
        return [self.seed.state]

    def __call__(self, x, y):
        """Return the augmented images and labels."""
        x, y = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
        return self.apply(x, y, *self.sample(ops.shape(x)[0], x.shape[1:]))

    def sample(self, n, shape) -> tuple:
        """Return what is random for n images of a shape, as the further arguments of `apply`."""
        raise NotImplementedError

    def apply(self, x, y, *sampled) -> tuple:
        """Return images and labels, of the same shapes."""
        raise NotImplementedError

    def uniform(self, shape, low=0.0, high=1.0):
        """Return uniform numbers from this layer's own generator."""
        return keras.random.uniform(shape, low, high, seed=self.seed)


def build(text: str) -> list[Online]:
    """Return the new layers of a policy, or of several in order; `UsageError` for an unknown name."""
    policy = []
    for name in text.split("+"):
        layers = policies[name]()
        policy += layers if isinstance(layers, list) else [layers]
    return policy


def versions(text: str) -> dict[str, int | str]:
    """Return the version of each policy that the text names; `UsageError` for an unknown one."""
    return {name: policies[name].version for name in text.split("+")}


@policies.register("none")
def none():
    """Batches as they are."""
    return []


import_all(__name__, __path__)
