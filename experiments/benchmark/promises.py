"""Are promises kept? Folders cut at random from a larger labelled one, and what the rest says of them.

    python -m experiments.benchmark --promises --data path/to/photos --image-size 224 --rounds 40

A round draws 12, 25 and 50 photos of each class, near-duplicates of one scene at most once. What `compare`
promises of `lite-heads` on these alone, by ten folds, is held against the model of all of them on the photos
that are left: whether the 95 % interval holds its accuracy, and each class's recall; and how far calibrated
probabilities are from how often they are right. The first rounds also ask whether flipped labels are found,
and whether photos of a class that was left out are told from known ones. The first photos of a class count.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fewshot import backend
from fewshot.data import Dataset, Prepared, open_splits
from fewshot.data.protocols import near_duplicates
from fewshot.seeding import rng

METHOD, FEATURES = "lite-heads", "efficientnet-lite0@224"
SHOTS = 12, 25, 50
POOL = 400  # photos of a class, at most
FOLDS = 10
FLIPPED = 0.05, 0.1  # shares of labels
FEW_ROUNDS = 10  # for labels and for other classes: each brings many photos

Row = dict[str, Any]


def measure(data: Prepared, rounds: int, device: str) -> dict[str, Any]:
    """Return what was found, means over the rounds: of cuts, of flipped labels, and of other classes.

    All in percent, but `auroc`, from 0 to 1.
    """
    backend.start(1, device)
    images = _pool(open_splits(data.folder).train)
    shots = [count for count in SHOTS if count < np.bincount(images.y).min() / 2]
    cuts: dict[int, list[Row]] = {count: [] for count in shots}
    labels: dict[float, list[Row]] = {share: [] for share in FLIPPED}
    others: list[Row] = []
    for seed in range(rounds):
        for count in shots:
            photos, rest = cut(images, count, seed)
            cuts[count].append(kept(photos, rest, seed))
        if seed < FEW_ROUNDS and shots:
            for share in FLIPPED:
                labels[share].append(found_labels(photos, share, seed))
            if len(images.classes) > 2:
                others.append(told_apart(photos, rest, seed))
        print(f"round {seed + 1} of {rounds} is done", file=sys.stderr, flush=True)
    return {
        "data": data.name,
        "photos": len(images),
        "rounds": rounds,
        "cuts": [{"shots": count, **_means(rows)} for count, rows in cuts.items()],
        "labels": [{"flipped": share, **_means(rows)} for share, rows in labels.items() if rows],
        "others": _means(others) if others else None,
    }


def table(measured: Mapping[str, Any]) -> str:
    """Return what `measure` returned as tables of Markdown."""
    from fewshot.report.table import barred

    cuts = {
        "photos a class": "{shots}",
        "interval holds the accuracy": "{held:.1f} %",
        "… a class's recall": "{recall_held:.1f} %",
        "its width": "{width:.1f}",
        "promised": "{promised:.1f}",
        "real": "{real:.1f}",
        "apart": "{apart:.1f}",
        "calibration error": "{ece:.1f}",
        "… before calibration": "{ece_before:.1f}",
        "… by chance": "{ece_by_chance:.1f}",
    }
    lines = [_barred(barred, cuts, measured["cuts"])]
    if measured["labels"]:
        heads = {
            "labels flipped": "{flipped:.0%}",
            "recall": "{recall:.0f} %",
            "precision": "{precision:.0f} %",
            "suspected": "{suspected:.1f}",
        }
        lines += ["", _barred(barred, heads, measured["labels"])]
    if others := measured["others"]:
        lines += [
            "",
            f"Photos of a class that was left out: AUROC {others['auroc']:.3f}. None of these are called "
            f"{others['refused']:.0f} % of them, {others['known_refused']:.1f} % of those of known classes, "
            f"and {others['blank_refused']:.0f} % of flat and noisy images.",
        ]
    return "\n".join(lines)


def _barred(barred: Any, heads: Mapping[str, str], rows: Iterable[Row]) -> str:
    return barred([[head, *(form.format(**row) for row in rows)] for head, form in heads.items()])


def _pool(train: Dataset) -> Dataset:
    """Return the first photos of each class, with the groups of near-duplicates among them."""
    index = np.concatenate([np.flatnonzero(train.y == label)[:POOL] for label in np.unique(train.y)])
    images = train.take(index).compact()
    return replace(images, groups=near_duplicates(images, images)[0])


def cut(images: Dataset, shots: int, seed: int) -> tuple[Dataset, Dataset]:
    """Return so many photos of each class, no two of one scene, and all photos of other scenes."""
    assert images.groups is not None
    random, taken = rng(seed, f"cut {shots}"), []
    for label in range(len(images.classes)):
        positions = random.permutation(np.flatnonzero(images.y == label))
        _, first = np.unique(images.groups[positions], return_index=True)
        taken.append(positions[np.sort(first)[:shots]])
    index = np.concatenate(taken)
    rest = np.flatnonzero(~np.isin(images.groups, images.groups[index]))
    return images.take(index), images.take(rest)


def held_out(images: Dataset, seed: int) -> np.ndarray:
    """Return what the method says of each photo, (N, classes), trained on those of other folds."""
    random, part = rng(seed, "folds"), np.empty(len(images), int)
    for label in range(len(images.classes)):
        positions = np.flatnonzero(images.y == label)
        part[positions] = (random.permutation(len(positions)) + label) % FOLDS
    said = np.empty((len(images), len(images.classes)))
    for fold in np.unique(part):
        trained = _learner().fit(images.take(np.flatnonzero(part != fold)), seed)
        said[part == fold] = trained.predict(images.x[part == fold])
    return said


def kept(images: Dataset, rest: Dataset, seed: int) -> Row:
    """Return what is promised from some photos, and what the model of all of them does on the rest."""
    from fewshot.stats.calibration import calibration_error, error_by_chance, scaled
    from fewshot.stats.promise import promise

    told = promise(held_out(images, seed), images.y)
    said = _learner().fit(images, seed).predict(rest.x)
    right = said.argmax(1) == rest.y
    recall = [100 * float(right[rest.y == label].mean()) for label in range(len(images.classes))]
    real, promised = float(np.mean(recall)), told.balanced_accuracy
    low, high = promised.interval or (0.0, 100.0)
    within = [
        one.interval[0] <= value <= one.interval[1]
        for one, value in zip(told.recall, recall, strict=True)
        if one is not None and one.interval is not None
    ]
    weights, calibrated = rest.weights, scaled(said, told.temperature)
    return {
        "held": 100.0 * (low <= real <= high),
        "recall_held": 100 * float(np.mean(within)) if within else np.nan,
        "width": high - low,
        "promised": promised.value,
        "real": real,
        "apart": abs(promised.value - real),
        "ece": calibration_error(calibrated, rest.y, weights),
        "ece_before": calibration_error(said, rest.y, weights),
        "ece_by_chance": error_by_chance(calibrated, weights),
    }


def found_labels(images: Dataset, share: float, seed: int) -> Row:
    """Return how many flipped labels are suspected, and of how many suspicions that is so, in percent."""
    from fewshot.inspection.labels import suspected_labels

    random, labels = rng(seed, f"flipped {share}"), images.y.copy()
    wrong = random.permutation(len(labels))[: round(share * len(labels))]
    classes = len(images.classes)
    labels[wrong] = (labels[wrong] + random.integers(1, classes, len(wrong))) % classes
    suspects = suspected_labels(labels, held_out(replace(images, y=labels), seed))
    hits = len(set(wrong.tolist()) & {one.position for one in suspects})
    return {
        "recall": 100 * hits / len(wrong),
        "precision": 100 * hits / len(suspects) if suspects else np.nan,
        "suspected": float(len(suspects)),
    }


def told_apart(images: Dataset, rest: Dataset, seed: int) -> Row:
    """Return how well photos of a class that the model does not know are told from those of known ones."""
    from sklearn.metrics import roc_auc_score

    from fewshot.backbones.features import extract
    from fewshot.stats.conformal import Novelty

    unknown = seed % len(images.classes)
    novelty = Novelty.fit(extract(FEATURES, images.x[images.y != unknown]))
    distance = novelty.distance(extract(FEATURES, rest.x))
    other = rest.y == unknown
    blank = novelty.refused(extract(FEATURES, _blank(images.image_shape, seed), keep=False))
    return {
        "auroc": float(roc_auc_score(other, distance)),
        "refused": 100 * float((distance[other] > novelty.threshold).mean()),
        "known_refused": 100 * float((distance[~other] > novelty.threshold).mean()),
        "blank_refused": 100 * float(blank.mean()),
    }


def _blank(shape: tuple[int, int, int], seed: int) -> np.ndarray:
    """Return images on which nothing is to be seen: black, grey and white, and two kinds of noise."""
    random = rng(seed, "noise")
    flat = [np.full(shape, level, np.uint8) for level in (0, 128, 255)]
    noise = random.integers(0, 256, shape), random.normal(128, 40, (*shape[:2], 1)).repeat(3, 2)
    return np.stack([*flat, *(one.clip(0, 255).astype(np.uint8) for one in noise)])


def _learner() -> Any:
    from fewshot.methods.resolve import resolve

    return resolve(METHOD)[1]


def _means(rows: list[Row]) -> Row:
    return {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}
