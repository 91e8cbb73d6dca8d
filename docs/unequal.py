"""As they are, weights, or repeats? How classes of unequal numbers of photos are best made to count alike.

    python docs/unequal.py --seeds 3

Pairs of CIFAR-10's classes with 20:200, 20:40 and 100:100 photos; 350 more of each class are held out.
Weights: the loss, the votes or the prior count each class alike. Repeats: photos of the smaller class are
taken several times, as `fewshot.learners.contract.Learner.train` does.
"""

import argparse
import functools
import sys

import numpy as np

from fewshot import backend
from fewshot.data import DataSpec, open_splits, prepare
from fewshot.seeding import rng

COUNTS = ((20, 200), (20, 40), (100, 100))
HELD_OUT = 350
WAYS = ("as they are", "weights", "repeats")


def repeated(y: np.ndarray, seed: int) -> np.ndarray:
    """Return positions with as many of each class as the largest has."""
    prng, most = rng(seed, "balance"), np.bincount(y).max()
    parts = []
    for label in np.unique(y):
        own = np.flatnonzero(y == label)
        whole, rest = divmod(most, len(own))
        parts.append(np.concatenate([np.tile(own, whole), prng.permutation(own)[:rest]]))
    return np.concatenate(parts)


def weights_of(y: np.ndarray) -> np.ndarray:
    counts = np.bincount(y)
    return len(y) / (len(counts) * counts[y])


def linear(make):
    """Return what fits a scikit-learn classifier after a z-score, with sample weights or on repeated rows."""

    def answers(way, x, y, new, seed):
        from fewshot.baselines.classifiers import FlooredScaler

        weights = weights_of(y) if way == "weights" else None
        if way == "repeats":
            index = repeated(y, seed)
            x, y = x[index], y[index]
        scaler = FlooredScaler().fit(x, sample_weight=weights)
        return make().fit(scaler.transform(x), y, sample_weight=weights).predict(scaler.transform(new))

    return answers


def discriminant(way, x, y, new, seed):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    if way == "repeats":
        index = repeated(y, seed)
        x, y = x[index], y[index]
    priors = [0.5, 0.5] if way == "weights" else None
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=priors).fit(x, y).predict(new)


def neighbours(way, x, y, new, seed):
    if way == "repeats":
        index = repeated(y, seed)
        x, y = x[index], y[index]
    mean, std = x.mean(), x.std()
    unit = [(part - mean) / std for part in (x, new)]
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in unit]
    nearest = np.argsort(-(unit[1] @ unit[0].T), axis=1, kind="stable")[:, :3]
    weights = weights_of(y) if way == "weights" else np.ones(len(y))
    votes = np.stack([((y[nearest] == label) * weights[nearest]).sum(1) for label in (0, 1)], 1)
    return votes.argmax(1)


@functools.cache
def compiled(name: str, shape: tuple[int, int, int]):
    """Return a network, compiled once for all trainings, and its optimiser's first state."""
    import keras

    from fewshot.models import build

    model = build(name, shape, 2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, 0.9), loss)
    model.optimizer.build(model.trainable_variables)
    return model, [variable.numpy() for variable in model.optimizer.variables]


def network(name: str, updates: int = 200, batch: int = 50):
    """Return what trains a network of ours by SGD, in as many updates whatever the way."""

    def answers(way, x, y, new, seed):
        from fewshot.models import build
        from fewshot.seeding import seed_globally

        index = repeated(y, seed) if way == "repeats" else np.arange(len(y))
        weights = weights_of(y) if way == "weights" else np.ones(len(y))
        prng, order = rng(seed, "shuffle"), []
        while len(order) < updates * batch:
            order += prng.permutation(index).tolist()
        order = np.array(order[: updates * batch])
        model, slots = compiled(name, x.shape[1:])
        seed_globally(seed)
        model.set_weights(build(name, x.shape[1:], 2).get_weights())
        for variable, value in zip(model.optimizer.variables, slots, strict=True):
            variable.assign(value)
        model.fit(
            x[order].astype(np.float32),
            y[order],
            batch_size=batch,
            shuffle=False,
            sample_weight=weights[order],
            verbose=0,
        )
        return np.asarray(model(new.astype(np.float32), training=False)).argmax(1)

    return answers


def corrected(name: str):
    """Return one of the project's heads: weights, and scores put right by photos that it holds out."""

    def answers(way, x, y, new, seed):
        from fewshot.baselines.classifiers import Head, scaled

        if way == "repeats":
            index = repeated(y, seed)
            x, y = x[index], y[index]
        head = scaled("zscore", Head(name))
        weights = {"head__sample_weight": np.ones(len(y))} if way == "as they are" else {}
        return head.fit(x, y, **weights).predict(new)

    return answers


def learners():
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.svm import LinearSVC

    return {
        "ridge, pixels": ("pixels", linear(lambda: RidgeClassifier(3000.0))),
        "logistic, pixels": ("pixels", linear(lambda: LogisticRegression(C=0.001, max_iter=1000))),
        "3 nearest, pixels": ("pixels", neighbours),
        "ridge, features": ("features", linear(lambda: RidgeClassifier(3000.0))),
        "logistic, features": ("features", linear(lambda: LogisticRegression(C=0.001, max_iter=1000))),
        "SVM, features": ("features", linear(lambda: LinearSVC(C=0.0001))),
        "LDA, features": ("features", discriminant),
        "3 nearest, features": ("features", neighbours),
        "heads' lda, features": ("features", corrected("lda")),
        "heads' logistic-cv, features": ("features", corrected("logistic-cv")),
        "CNN baseline": ("images", network("baseline")),
        "CNN bn": ("images", network("baseline:norm=batch")),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--learners", default="", help="those whose names have this in them")
    args = parser.parse_args()
    backend.start(1, "cpu")
    from fewshot.backbones.features import extract
    from fewshot.baselines import rows

    features = functools.partial(extract, "efficientnet-lite0@160")
    train = open_splits(prepare(DataSpec("cifar10")).folder).train
    results: dict = {}
    chosen = {name: learner for name, learner in learners().items() if args.learners in name}
    kinds = {kind for kind, _ in chosen.values()}
    for seed in range(args.seeds):
        prng = rng(seed, "pair")
        pair = prng.permutation(10)[:2]
        order = prng.permutation(1000)
        of_class = [np.flatnonzero(train.y == label)[order] for label in pair]
        held = np.concatenate([own[-HELD_OUT:] for own in of_class])
        new, truth = train.x[held], np.repeat([0, 1], HELD_OUT)
        for counts in COUNTS:
            index = np.concatenate([own[:count] for own, count in zip(of_class, counts, strict=True)])
            x, y = train.x[index], np.repeat([0, 1], counts)
            look = {"images": lambda part: part, "pixels": rows, "features": features}
            seen = {kind: (look[kind](x), look[kind](new)) for kind in kinds}
            for name, (kind, answers) in chosen.items():
                for way in WAYS:
                    right = answers(way, seen[kind][0], y, seen[kind][1], seed) == truth
                    recall = right.reshape(2, -1).mean(1)
                    share = np.array(counts) / sum(counts)
                    values = 100 * recall.mean(), 100 * share @ recall, 100 * recall[0]
                    results.setdefault((name, counts, way), []).append(values)
        print(f"seed {seed} is done", file=sys.stderr, flush=True)
    print("| learner | " + " | ".join(f"{a}:{b} {way}" for a, b in COUNTS for way in WAYS) + " |")
    for name in chosen:
        cells = []
        for counts in COUNTS:
            for way in WAYS:
                balanced, plain, small = np.mean(results[name, counts, way], 0)
                cells.append(f"{balanced:.1f} ({plain:.1f}; {small:.0f})")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
