"""Whole datasets: seconds an epoch, and how much of the chip's arithmetic: `experiments.benchmark --full`.

Compiling a large network takes minutes: each is measured by itself, and what was measured is told at once.

    python -m experiments.benchmark --full --network resnet18 wrn:width=8 --device gpu
"""

from __future__ import annotations

import itertools
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from experiments.benchmark.timing import least_seconds, seconds
from fewshot import backend
from fewshot.augment.offline import expand
from fewshot.data import open_splits
from fewshot.machine import cores
from fewshot.report.table import aligned
from fewshot.training.recipe import recipes

PRECISIONS = ("float32", "bfloat16")
# The baselines report's seconds an epoch, on its CPU and on an A100.
NETWORKS = {
    "resnet18": ("whole", "16.2 / 1.07"),
    "vgg16:norm=batch": ("whole", "532.6 / 6.55"),
    "mobilenetv2": ("whole", "241.7 / 10.3"),
    "airbench": ("speedrun", "–"),
}
OTHERS = "whole", "–"  # recipe and report of any other network
CPU_UPDATES = 3  # a round, where a whole epoch would take minutes
SIDE, PRODUCTS = {"cpu": 2048, "gpu": 8192}, 10  # matrices whose products are the measure of the chip


def measure(data, rounds: int, device: str, chosen: Sequence[str] = ()) -> dict:
    """Return, for each network and precision, what an epoch takes; compilation and data are not in it.

    On a CPU `CPU_UPDATES` updates are measured, and an epoch's time is computed from them. Each row is
    printed on standard error as soon as it is measured.

    chosen: networks with their switches, instead of `NETWORKS`; those that are not of these are trained by
    the recipe `whole`.
    """
    backend.start(cores(), device)
    train = open_splits(data.folder).train
    train = train.take(np.arange(len(train)))  # in memory
    kind = "cpu" if device == "cpu" else "gpu"
    peaks = {precision: _products(precision, SIDE[kind]) for precision in PRECISIONS}
    rows = []
    for network in chosen or NETWORKS:
        recipe, reported = NETWORKS.get(network, OTHERS)
        for precision in PRECISIONS:
            print(f"{network}, {precision}", file=sys.stderr)
            row = _epoch(train, network, replace(recipes[recipe](), precision=precision), rounds, kind)
            row["share"] = row["tflops"] / peaks[precision]
            rows.append({"network": network, "precision": precision, "reported": reported, **row})
            said = [f"{head} {cell(rows[-1])}" for head, cell in COLUMNS.items()]
            print(f"  {', '.join(said[2:-1])}", file=sys.stderr, flush=True)
    return {"device": device, "peak_tflops": peaks, "rows": rows, "memory_mb": _memory()}


def _epoch(train, network: str, recipe, rounds: int, kind: str) -> dict:
    """Return the least seconds of an epoch, images a second, and the arithmetic of its convolutions."""
    from fewshot.models.cost import cost
    from fewshot.training.engine import arrays, compiled

    engine = compiled(network, recipe, train.image_shape, len(train.classes))
    examples = expand(train, "none", 0)
    engine.begin(examples, 0)
    placed = engine.loop.place(arrays(examples))
    updates = recipe.epoch_steps(len(train)) if kind == "gpu" else CPU_UPDATES
    batches = list(itertools.islice(engine.batches(examples, recipe, 0), updates))
    given = recipe.given(len(train))[:updates]
    # The loop returns losses, so all of it has been computed then.
    times = [seconds(lambda: engine.loop.run(placed, batches, given)) for _ in range(rounds + 1)]
    rate = sum(map(len, batches)) / min(times[1:])  # the first one compiles
    # A multiply-add is two operations, and an update three passes: forward, to the maps, to the weights.
    operations = 6 * cost(engine.network).multiply_adds
    return {
        "epoch": len(train) / rate,
        "images": rate,
        "tflops": rate * operations / 1e12,
        "updates": updates,
        "compiled": times[0],
    }


def _products(precision: str, side: int) -> float:
    """Return the chip's speed in 10¹² operations a second: of a chain of matrix products."""
    from keras import ops

    x = ops.cast(np.random.default_rng(0).standard_normal((side, side)) / side**0.5, precision)

    def chain(x):
        y = x
        for _ in range(PRODUCTS):
            y = ops.matmul(y, x)
        return ops.sum(ops.cast(y, "float32"))

    run = backend.compile_function(chain)
    least = least_seconds({"products": lambda: float(ops.convert_to_numpy(run(x)))}, 3)["products"]
    return PRODUCTS * 2 * side**3 / least / 1e12


def _memory() -> dict[str, float]:
    """Return the most memory that was in use, of the host and of the device, in MB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peaks = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}
    if backend.started()[1] != "cpu":
        peaks["device"] = _device_memory() / 2**20
    return peaks


def _device_memory() -> int:
    if backend.name() == "jax":
        import jax

        return jax.devices()[0].memory_stats()["peak_bytes_in_use"]
    import tensorflow as tf

    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


COLUMNS = {
    "network": lambda r: r["network"],
    "precision": lambda r: r["precision"],
    "s/epoch": lambda r: f"{r['epoch']:.2f}",
    "images/s": lambda r: f"{r['images']:,.0f}",
    "GFLOP/s": lambda r: f"{1000 * r['tflops']:,.0f}",
    "of the chip": lambda r: f"{100 * r['share']:.0f} %",
    "compiling": lambda r: f"{r['compiled']:.1f} s",
    "report, CPU / A100": lambda r: r["reported"],
}


def table(measured: Mapping) -> str:
    """Return what was measured as text."""
    lines = aligned([[head, *map(cell, measured["rows"])] for head, cell in COLUMNS.items()])
    peaks = ", ".join(f"{1000 * value:,.0f} in {name}" for name, value in measured["peak_tflops"].items())
    memory = ", ".join(f"{name} {value:,.0f} MB" for name, value in measured["memory_mb"].items())
    updates = measured["rows"][0]["updates"]
    if measured["device"] == "cpu":
        lines.append(f"The time of an epoch is computed from {updates} updates.")
    lines.append(f"The chip multiplies matrices at {peaks} GFLOP/s. Most memory: {memory}.")
    return "\n".join(lines)
