"""As they are, weights, or repeats? How classes of unequal numbers of photos are best made to count alike.

    python -m experiments.benchmark --unequal --data cifar10 --rounds 3

A round is a pair of classes with 20:200, 20:40 and 100:100 photos; 350 more of each class are held out.
Weights: the loss, the votes or the prior count each class alike. Repeats: photos of the smaller class are
taken several times, as `fewshot.learners.contract.Learner.train` does.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from fewshot import backend
from fewshot.data import Dataset, open_splits
from fewshot.seeding import rng

COUNTS = ((20, 200), (20, 40), (100, 100))
POOL = 1000  # the first images of a class, of which …
HELD_OUT = 350  # … so many are measured on
WAYS = ("as they are", "weights", "repeats")
UPDATES, BATCH = 200, 50  # of networks, whatever the way

# from way, rows, labels, new rows and seed to the answers for these
Answers: TypeAlias = Callable[[str, np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


def measure(data, rounds: int, device: str) -> dict[str, list[dict[str, Any]]]:
    """Return, for each learner, balanced accuracy, accuracy and recall of the smaller class, in percent.

    A row for each number of photos and way: the means over the rounds.
    """
    backend.start(1, device)
    from fewshot.backbones.features import extract
    from fewshot.baselines import rows

    look: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
        "images": lambda part: part,
        "pixels": rows,
        "features": functools.partial(extract, "efficientnet-lite0@160"),
    }
    train = open_splits(data.folder).train
    truth = np.repeat([0, 1], HELD_OUT)
    values: dict[tuple, list[tuple[float, ...]]] = {}
    for seed in range(rounds):
        prng = rng(seed, "pair")
        pair = prng.permutation(len(train.classes))[:2]
        order = prng.permutation(POOL)
        of_class = [np.flatnonzero(train.y == label)[order] for label in pair]
        held_out = train.x[np.concatenate([positions[-HELD_OUT:] for positions in of_class])]
        for counts in COUNTS:
            index = np.concatenate(
                [positions[:count] for positions, count in zip(of_class, counts, strict=True)]
            )
            seen = {kind: (see(train.x[index]), see(held_out)) for kind, see in look.items()}
            share = np.array(counts) / sum(counts)
            for name, (kind, answers) in learners().items():
                x, new = seen[kind]
                for way in WAYS:
                    right = answers(way, x, np.repeat([0, 1], counts), new, seed) == truth
                    recall = 100 * right.reshape(2, -1).mean(1)
                    told = float(recall.mean()), float(share @ recall), float(recall[0])
                    values.setdefault((name, counts, way), []).append(told)
        print(f"round {seed + 1} of {rounds} is done", file=sys.stderr, flush=True)
    rows: dict[str, list[dict[str, Any]]] = {}
    for (name, counts, way), told in values.items():
        balanced, accuracy, small = np.mean(told, 0).tolist()
        row = {"balanced_accuracy": balanced, "accuracy": accuracy, "recall_of_the_smaller": small}
        rows.setdefault(name, []).append({"photos": counts, "way": way, **row})
    return rows


def table(measured: dict) -> str:
    """Return what `measure` returned as a table of Markdown."""
    from fewshot.report.table import barred

    ways = [f"{a}:{b} {way}" for a, b in COUNTS for way in WAYS]
    columns = [["learner", *measured]]
    for way, *rows in zip(ways, *measured.values(), strict=True):
        columns.append([way, *map(_cell, rows)])
    return barred(columns)


def _cell(row: dict) -> str:
    return f"{row['balanced_accuracy']:.1f} ({row['accuracy']:.1f}; {row['recall_of_the_smaller']:.0f})"


def learners() -> dict[str, tuple[str, Answers]]:
    """Return the learners: name → what of the images they look at, and what trains them and answers."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.svm import LinearSVC

    return {
        "ridge, pixels": ("pixels", _linear(lambda: RidgeClassifier(3000.0))),
        "logistic, pixels": ("pixels", _linear(lambda: LogisticRegression(C=0.001, max_iter=1000))),
        "3 nearest, pixels": ("pixels", _neighbours),
        "ridge, features": ("features", _linear(lambda: RidgeClassifier(3000.0))),
        "logistic, features": ("features", _linear(lambda: LogisticRegression(C=0.001, max_iter=1000))),
        "SVM, features": ("features", _linear(lambda: LinearSVC(C=0.0001))),
        "LDA, features": ("features", _discriminant),
        "3 nearest, features": ("features", _neighbours),
        "heads' lda, features": ("features", _corrected("lda")),
        "heads' logistic-cv, features": ("features", _corrected("logistic-cv")),
        "CNN baseline": ("images", _network("baseline")),
    }


def _counted(way: str, x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, labels and weights as a way has them."""
    train = Dataset(x, y, ("smaller", "larger"))
    if way == "repeats":
        train = train.repeated(seed)
    return train.x, train.y, train.weights if way == "weights" else np.ones(len(train))


def _linear(make: Callable[[], Any]) -> Answers:
    """Return what fits a scikit-learn classifier after a z-score."""

    def answers(way, x, y, new, seed):
        from fewshot.baselines.classifiers import FlooredScaler

        x, y, weights = _counted(way, x, y, seed)
        scaler = FlooredScaler().fit(x, sample_weight=weights)
        return make().fit(scaler.transform(x), y, sample_weight=weights).predict(scaler.transform(new))

    return answers


def _discriminant(way, x, y, new, seed):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    x, y, _ = _counted(way, x, y, seed)
    priors = [0.5, 0.5] if way == "weights" else None
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=priors).fit(x, y).predict(new)


def _neighbours(way, x, y, new, seed):
    x, y, weights = _counted(way, x, y, seed)
    mean, std = x.mean(), x.std()
    unit = [(part - mean) / std for part in (x, new)]
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in unit]
    nearest = np.argsort(-(unit[1] @ unit[0].T), axis=1, kind="stable")[:, :3]
    votes = np.stack([((y[nearest] == label) * weights[nearest]).sum(1) for label in (0, 1)], 1)
    return votes.argmax(1)


def _corrected(name: str) -> Answers:
    """Return one of the project's heads: weights, and scores put right by photos that it holds out."""

    def answers(way, x, y, new, seed):
        from fewshot.baselines.classifiers import Head, scaled

        x, y, ones = _counted("repeats" if way == "repeats" else "as they are", x, y, seed)
        weights = {"head__sample_weight": ones} if way == "as they are" else {}
        return scaled("zscore", Head(name)).fit(x, y, **weights).predict(new)

    return answers


@functools.cache
def _compiled(name: str, shape: tuple[int, int, int]):
    """Return a network, compiled once for all trainings, and its optimiser's first state."""
    import keras

    from fewshot.models import build

    model = build(name, shape, 2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, 0.9), loss)
    model.optimizer.build(model.trainable_variables)
    return model, [variable.numpy() for variable in model.optimizer.variables]


def _network(name: str) -> Answers:
    """Return what trains a network of ours by SGD."""

    def answers(way, x, y, new, seed):
        from fewshot.models import build
        from fewshot.seeding import seed_globally

        x, y, weights = _counted(way, x, y, seed)
        passes = -(-UPDATES * BATCH // len(y))
        prng = rng(seed, "shuffle")
        order = np.concatenate([prng.permutation(len(y)) for _ in range(passes)])[: UPDATES * BATCH]
        model, slots = _compiled(name, x.shape[1:])
        seed_globally(seed)
        model.set_weights(build(name, x.shape[1:], 2).get_weights())
        for variable, value in zip(model.optimizer.variables, slots, strict=True):
            variable.assign(value)
        images, counted = x[order].astype(np.float32), weights[order]
        model.fit(images, y[order], batch_size=BATCH, shuffle=False, sample_weight=counted, verbose=0)
        return np.asarray(model(new.astype(np.float32), training=False)).argmax(1)

    return answers
