"""NumPy networks beside the same in Keras, SSIM beside scikit-image: `experiments.benchmark --baselines`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from experiments.benchmark.timing import least_seconds
from fewshot import backend, baselines
from fewshot.data import open_splits
from fewshot.data.dataset import Dataset
from fewshot.machine import cores
from fewshot.seeding import rng
from fewshot.training.recipe import Recipe

UPDATES, RECIPE = 10, Recipe()  # a round
ANSWERED, SEARCHED, PAIRS = 256, 2048, 30  # images whose SSIM is taken, and pairs for scikit-image
DROPOUT = 0.2
NETWORKS = {  # in NumPy, and in Keras by `_keras`
    "fc3 with dropout": ("numpy-fc3:dropout=0.2", (1024, 512, 256), ()),
    "conv (32, 32)": ("numpy-conv32", (), (32, 32)),
    "conv (32, 32, 64, 64)": ("numpy-conv4", (), (32, 32, 64, 64)),
}


def measure(data, rounds: int, device: str) -> dict:
    """Return the least seconds of each from interleaved rounds after one that compiles, all on all cores."""
    backend.start(cores(), "cpu")  # where the others compute
    splits = open_splits(data.folder)
    train = splits.train.take(np.arange(UPDATES * RECIPE.batch))
    contenders: dict[str, tuple[Callable[[], object], float]] = {}
    for name, (spec, units, filters) in NETWORKS.items():
        contenders[f"{name}, NumPy"] = _numpy(spec, train), UPDATES
        contenders[f"{name}, Keras"] = _keras(units, filters, train), UPDATES
    contenders["SSIM, all pairs"] = _ssim(splits), ANSWERED * SEARCHED
    contenders["SSIM, scikit-image"] = _scikit_image(splits), PAIRS
    least = least_seconds({name: run for name, (run, _) in contenders.items()}, rounds, progress=True)
    return {name: least[name] / count for name, (_, count) in contenders.items()}


def _numpy(spec: str, train: Dataset) -> Callable[[], object]:
    from fewshot.baselines import numpy_net
    from fewshot.baselines.numpy_net.loss import softmax_cross_entropy
    from fewshot.baselines.numpy_net.optimizers import optimizers
    from fewshot.baselines.numpy_net.train import one_hot

    network = numpy_net.build(spec, train.image_shape, len(train.classes), 0)
    network.standardise.observe(train.x)
    optimizer = optimizers[RECIPE.optimizer](network.parameters, RECIPE)
    targets = one_hot(train.y, len(train.classes))

    def run():
        for start in range(0, len(train), RECIPE.batch):
            part = slice(start, start + RECIPE.batch)
            _, gradient = softmax_cross_entropy(network.forward(train.x[part], training=True), targets[part])
            network.backward(gradient)
            optimizer.update(network.gradients, 0.001)

    return run


def _keras(units, filters, train: Dataset) -> Callable[[], object]:
    """Return the same updates of the same network by `fit`, several steps a call."""
    import keras
    from keras import layers

    stack = [keras.Input(train.image_shape), layers.Rescaling(1 / 255)]
    for number, count in enumerate(filters, 1):
        stack.append(layers.Conv2D(count, 3, padding="same", activation="relu"))
        stack += [layers.MaxPooling2D()] * (number % 2 == 0)
    stack.append(layers.Flatten())
    for count in units:
        stack += [layers.Dense(count, "relu"), layers.Dropout(DROPOUT)]
    network = keras.Sequential([*stack, layers.Dense(len(train.classes))])
    network.compile(
        keras.optimizers.SGD(0.001, RECIPE.momentum),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=UPDATES,
    )
    x = train.x.astype(np.float32)
    return lambda: network.fit(x, train.y, RECIPE.batch, shuffle=False, verbose=0)


def _ssim(splits) -> Callable[[], object]:
    classifier = baselines.build("knn:distance=ssim,k=1", 0)
    searched = rng(0, "benchmark").permutation(len(splits.train))[:SEARCHED]
    train = splits.train.take(np.sort(searched))
    classifier.fit(baselines.rows(train.x), train.y)
    queries = baselines.rows(splits.test.x[:ANSWERED])
    return lambda: classifier.kneighbors(queries)


def _scikit_image(splits) -> Callable[[], object]:
    from skimage.metrics import structural_similarity

    pairs = [(splits.test.x[i] / 255.0, splits.train.x[i] / 255.0) for i in range(PAIRS)]
    return lambda: [structural_similarity(a, b, data_range=1.0, channel_axis=-1) for a, b in pairs]


def table(measured: dict[str, float]) -> str:
    """Return the seconds as text."""
    lines = []
    for name in NETWORKS:
        ours, theirs = measured[f"{name}, NumPy"], measured[f"{name}, Keras"]
        epoch = ours * 50_000 / RECIPE.batch
        lines.append(
            f"{name:22} NumPy {1e3 * ours:6.1f} ms an update ({epoch:.0f} s for 50,000 images), "
            f"Keras {1e3 * theirs:6.1f} ms: {ours / theirs:.2f} times"
        )
    ours, theirs = measured["SSIM, all pairs"], measured["SSIM, scikit-image"]
    lines.append(
        f"{'SSIM':22} {1e6 * ours:.2f} µs a pair, scikit-image {1e6 * theirs:.0f}: {theirs / ours:.0f} times"
    )
    return "\n".join(lines)
