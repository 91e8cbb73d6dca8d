"""What a network costs: counted in its graph, and measured on this machine.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import keras
import numpy as np

from fewshot.machine import room
from fewshot.models import build

BATCH = 256
WARM_UP = 3  # calls that are not counted
CALLS, SECONDS = 30, 0.5  # a latency is measured for at least so many calls, and so long
FEW = 7

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What one image costs; convolutions and dense layers count, without their biases.

    parameters: trainable ones. multiply_adds: of all kernels at all positions. activations: values that
    these layers put out. size: bytes of all weights, those of BatchNorm's statistics included; a saved
    model adds some kilobytes a layer. largest: values of the largest map.
    """

    parameters: int
    multiply_adds: int
    activations: int
    size: int
    largest: int


def cost(network: keras.Model) -> Cost:
    """Count along the network's graph. Layers inside a layer that is no model are not seen."""
    multiply_adds = activations = 0
    for layer in _leaves(network):
        kernels = [math.prod(weight.shape) for weight in layer.weights if len(weight.shape) > 1]
        if kernels:
            shape = layer.output.shape[1:]
            multiply_adds += sum(kernels) * math.prod(shape[:-1])  # each kernel once a position
            activations += math.prod(shape)
    return Cost(
        parameters=sum(math.prod(weight.shape) for weight in network.trainable_weights),
        multiply_adds=multiply_adds,
        activations=activations,
        size=sum(math.prod(weight.shape) * np.dtype(weight.dtype).itemsize for weight in network.weights),
        largest=_largest(network),
    )


def _largest(network: keras.Model) -> int:
    """Return how many values the largest map of one image has."""
    return max(math.prod(layer.output.shape[1:]) for layer in _leaves(network))


def widest(network: keras.Model) -> int:
    """Return the filters of the widest convolution, 0 where there is none."""
    return max((layer.output.shape[-1] for layer in _leaves(network) if _convolves(layer)), default=0)


def _convolves(layer: keras.Layer) -> bool:
    return any(len(weight.shape) == 4 for weight in layer.weights)


def _leaves(network: keras.Model) -> Iterator[keras.Layer]:
    for layer in network.layers:
        yield from _leaves(layer) if isinstance(layer, keras.Model) else [layer]


@functools.cache
def check_room(text: str, shape: tuple[int, int, int], outputs: int, batch: int) -> None:
    """Raise `NoRoom` where a network's training would take more memory than there is; nothing is allocated.

    Weights, gradients and two slots of the optimiser, and of every image a layer's outputs and their
    gradients: what any training takes at least.
    """
    check_training(outline(text, shape, outputs), batch, f"training '{text}' on images of {_pixels(shape)}")


def check_training(network: keras.Model, batch: int, what: str) -> None:
    """Raise `NoRoom` where training an outlined network would take more memory than there is."""
    parameters = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    taken = 4 * (4 * parameters + 2 * batch * _largest(network))
    cure = "a narrower one, a smaller batch or smaller images fit"
    room(taken, f"{what}, {parameters:,} parameters,", cure)


@functools.cache
def check_forward(text: str, shape: tuple[int, int, int], outputs: int) -> None:
    """Raise `NoRoom` where a network would take more memory than there is for one image."""
    wanted = cost(outline(text, shape, outputs))
    taken = wanted.size + 4 * 2 * wanted.largest
    room(taken, f"'{text}' for one image of {_pixels(shape)}", "a narrower one or smaller images fit")


def _pixels(shape: tuple[int, int, int]) -> str:
    return f"{shape[0]:,}×{shape[1]:,} pixels"


def outline(text: str, shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """Return a network whose weights have shapes and no values: enough for `cost`, and built in no time."""
    return outlined(lambda: build(text, shape, outputs))


def outlined(make: Callable[[], T]) -> T:
    """Return the networks that `make` builds, their weights without values."""

    def hollow() -> T:
        with keras.StatelessScope(initialize_variables=False):
            return make()

    # Keras would give the values later, at the end of another such scope. It keeps its list of them by
    # thread, and this one ends here.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(hollow).result()


def latencies(forward: Callable, shape: tuple[int, int, int], few: bool = False) -> list[float]:
    """Return the seconds of single calls with one image, after a warm-up; few: of `FEW` calls."""
    image = _images(1, shape)
    for _ in range(WARM_UP):
        forward(image)
    timings = []
    while len(timings) < (FEW if few else CALLS) or (sum(timings) < SECONDS and not few):
        timings.append(_seconds(forward, image))
    return timings


def throughput(forward: Callable, shape: tuple[int, int, int]) -> float:
    """Return images a second in batches of 256: the fastest of three calls, after a warm-up.

    Where a call takes seconds, its warm-up is lost in it, and it is the only one. Call `latencies` before.
    """
    batch = _images(BATCH, shape)
    first = _seconds(forward, batch)
    return BATCH / (first if first > 2 else min(_seconds(forward, batch) for _ in range(3)))


def _seconds(forward: Callable, images: np.ndarray) -> float:
    start = time.perf_counter()
    forward(images)
    return time.perf_counter() - start


def _images(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.float32)
