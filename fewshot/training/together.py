"""Many seeds of one network in one compiled call: `vmap` over whole trainings, on JAX.

A GPU is idle most of the time when a small network trains on 100 images; ten of them fill it better.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fewshot.augment.offline import Examples
from fewshot.errors import DivergedError
from fewshot.training.curves import Curve, Trace
from fewshot.training.engine import STRETCH, Engine, arrays
from fewshot.training.recipe import Recipe


def fit(
    engine: Engine, examples: Sequence[Examples], recipe: Recipe, seeds: Sequence[int]
) -> list[tuple[Curve, list[np.ndarray]] | DivergedError]:
    """Train the engine's network once for each seed, on its own examples, all at once.

    examples: equally many of the same shape for all. Returns learning curve and weights of each training, or
    the error where its loss was no longer a number; the same as one by one, but for rounding.
    """
    started = []
    for seed, images in zip(seeds, examples, strict=True):
        engine.begin(images, seed)
        started.append(engine.loop.values())
    values = jax.tree.map(lambda *leaves: jnp.stack(leaves), *started)
    placed = tuple(jnp.stack(parts) for parts in zip(*map(arrays, examples), strict=True))
    n = len(examples[0])
    orders = [engine.batches(images, recipe, seed) for images, seed in zip(examples, seeds, strict=True)]
    given = recipe.given(n)
    losses, correct, sizes = [], [], []
    for done in range(0, len(given), STRETCH):
        steps = list(itertools.islice(zip(*orders, strict=True), len(given[done : done + STRETCH])))
        for _, equal in itertools.groupby(steps, key=lambda batches: len(batches[0])):
            index = np.array(list(equal))
            first = len(sizes)
            values, measured = engine.loop.run_together(
                values, placed, index, given[first : first + len(index)]
            )
            losses.append(measured[0])
            correct.append(measured[1])
            sizes += [index.shape[-1]] * len(index)
    traces = zip(np.concatenate(losses).T, np.concatenate(correct).T, strict=True)
    outcomes = []
    for number, (losses_of_one, correct_of_one) in enumerate(traces):
        trace = Trace(len(given), recipe.epoch_steps(n))
        try:
            trace.add(losses_of_one, correct_of_one, sizes)
        except DivergedError as error:
            outcomes.append(error)
            continue
        engine.loop.assign(jax.tree.map(lambda value, number=number: value[number], values))
        engine.average()
        outcomes.append((trace.curve(), engine.weights()))
    return outcomes
