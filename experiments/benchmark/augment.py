"""What augmentation costs: online policies against the update they ride on, expansions, streamed mixtures.

    python -m experiments.benchmark --augment

On one thread and TensorFlow. The rounds are interleaved and the least time of each counts.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping

import numpy as np

from experiments.benchmark.timing import least_seconds
from fewshot import backend
from fewshot.augment import online
from fewshot.augment.offline import expand, expansions
from fewshot.augment.online import policies
from fewshot.data import open_splits
from fewshot.data.protocols import Protocol
from fewshot.training.recipe import Recipe

UPDATES = 50
LARGEST = "mixing(flip+rotation+patchshuffle)"


def measure(data, rounds: int, device: str) -> dict:
    """Return the milliseconds of everything, for 100 images of one task."""
    backend.start(1, "cpu")
    task = Protocol(data.default_protocol, data.default_ways).sample_task(open_splits(data.folder), 0)
    return {
        "online": _online(task, rounds),
        "keras": _keras_layers(task, rounds),
        "expansions": _expansions(task),
        "streaming": _streaming(task, rounds),
    }


def table(measured: dict) -> str:
    """Return what `measure` returned as text."""
    base = measured["online"]["none"]
    lines = [f"an update of the baseline on 100 images: {base:.1f} ms", ""]
    lines.append(f"{'online policy':14} {'update ms':>9} {'added':>6} {'alone ms':>9} {'Keras layer ms':>15}")
    alone, theirs = measured["keras"]["ours"], measured["keras"]["keras"]
    for name, update in measured["online"].items():
        other = f"{theirs[name]:.1f}" if name in theirs else "–"
        added = f"{100 * (update / base - 1):+.0f} %"
        lines.append(f"{name:14} {update:9.1f} {added:>6} {alone[name]:9.2f} {other:>15}")
    lines += ["", f"{'expansion':20} {'images':>8} {'seconds':>8}"]
    lines += [f"{name:20} {n:8,} {seconds:8.3f}" for name, (n, seconds) in measured["expansions"].items()]
    s = measured["streaming"]
    lines += [
        "",
        f"{LARGEST}: {s['examples']:,} examples held in {s['megabytes']:.1f} MB; batches are made at "
        f"{s['made']:,.0f} images/s and trained on at {s['trained']:,.0f} images/s",
    ]
    return "\n".join(lines)


def _milliseconds(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the least milliseconds of one of the `UPDATES` repetitions that each function makes."""
    return {name: 1000 * least / UPDATES for name, least in least_seconds(functions, rounds).items()}


def _updates(task, recipe, expansion):
    """Return a function that makes `UPDATES` updates, and the examples that it trains on."""
    from fewshot.training.engine import arrays, compiled

    examples = expand(task.train, expansion, 0)
    engine = compiled("baseline", recipe, task.train.image_shape, len(task.train.classes))
    engine.reset(0)
    placed = engine.loop.place(arrays(examples))
    stretch = list(itertools.islice(engine.batches(examples, recipe, 0), UPDATES))
    return lambda: engine.loop.run(placed, stretch, recipe.given(len(examples))), examples


def _online(task, rounds):
    functions = {name: _updates(task, Recipe(online=name), "none")[0] for name in policies}
    return _milliseconds(functions, rounds)


def _keras_layers(task, rounds):
    """Time the policies, and Keras's own layers for the same work, without any network."""
    import keras
    import tensorflow as tf

    theirs = {
        "flip": keras.layers.RandomFlip("horizontal"),
        "shift-crop": keras.layers.RandomTranslation(0.125, 0.125, fill_mode="reflect"),
        "rotation": keras.layers.RandomRotation(15 / 360, fill_mode="reflect"),
        "color-jitter": keras.layers.RandomColorJitter((0, 255), 0.4, 0.4, 0.4),
        "erasing": keras.layers.RandomErasing(value_range=(0, 255)),
        "mixup": keras.layers.MixUp(0.2),
        "cutmix": keras.layers.CutMix(1.0),
        "randaugment": keras.layers.RandAugment((0, 255)),
    }
    images = tf.constant(task.train.x, tf.float32)
    labels = tf.one_hot(task.train.y, len(task.train.classes))

    def loop(step):
        @tf.function
        def repeat(x, y):
            total = 0.0
            for number in tf.range(UPDATES):
                total += tf.reduce_sum(step(x + tf.cast(number, tf.float32) * 0.001, y)[:, 0, 0, 0])
            return total

        compiled = repeat.get_concrete_function(images, labels)
        return lambda: compiled(images, labels)

    def ours(name):
        layers = online.build(name)

        def step(x, y):
            for layer in layers:
                x, y = layer(x, y)
            return x

        return loop(step)

    def keras_own(layer):
        if isinstance(layer, keras.layers.MixUp | keras.layers.CutMix):
            return loop(lambda x, y: layer({"images": x, "labels": y}, training=True)["images"])
        return loop(lambda x, y: layer(x, training=True))

    return {
        "ours": _milliseconds({name: ours(name) for name in policies}, rounds),
        "keras": _milliseconds({name: keras_own(layer) for name, layer in theirs.items()}, rounds),
    }


def _expansions(task):
    """Time each expansion of the task's images, and the report's combinations, imports apart."""
    expand(task.train, "flip", 0)
    costs = {}
    for name in [*expansions, "flip+rotation+patchshuffle", "flip+rotation+patchshuffle+mixing", LARGEST]:
        begin = time.perf_counter()
        examples = expand(task.train, name, 0)
        costs[name] = (len(examples), time.perf_counter() - begin)
    return costs


def _streaming(task, rounds):
    """Compare how fast batches of the largest published set are made with how fast they are trained on."""
    import tensorflow as tf

    from fewshot.training.engine import arrays, batch

    recipe = Recipe()
    train, examples = _updates(task, recipe, LARGEST)
    held = arrays(examples)
    placed = tuple(map(tf.constant, held))
    index = tf.constant(
        np.random.default_rng(0).integers(0, len(examples), (UPDATES, recipe.batch)), tf.int32
    )

    @tf.function
    def make(index):
        total = 0.0
        for number in tf.range(UPDATES):
            total += tf.reduce_sum(batch(placed, index[number])[0][:, 0, 0, 0])
        return total

    least = _milliseconds({"made": lambda: make(index), "trained": train}, rounds)
    rates = {name: 1000 * recipe.batch / milliseconds for name, milliseconds in least.items()}
    return {"examples": len(examples), "megabytes": sum(a.nbytes for a in held) / 2**20, **rates}
