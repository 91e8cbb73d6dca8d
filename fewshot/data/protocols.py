"""Protocols: the rules that draw tasks. A task is a function of protocol and seed alone.

Seeds below 1000 draw the tasks that are reported. Seeds from 1000 on draw *tuning tasks*: every choice
(a learning rate, a recipe) is made on those, and none of their images stands in a reported task; where a
rule takes the whole training set, none of those that a reported task is measured on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TypeAlias

import numpy as np

from fewshot.data.dataset import Dataset, Prior, Splits
from fewshot.data.duplicates import groups
from fewshot.data.published import DEIC
from fewshot.errors import UsageError, field, unknown
from fewshot.registry import Registry
from fewshot.seeding import rng

TUNING = 1000  # the first tuning seed
POOL = 1000  # the reported tasks of the testbed use the first 1000 images of a class …
TUNING_POOL = 4000  # … and the tuning tasks the 4000 after them
HELD_OUT = 350  # held-out images a class, from position 50 of the pool
FULL_HELD_OUT = 0.2  # the share that `full` holds out where the data have no test images …
VALIDATION = 0.1  # … and for tuning, where they have no val images
DEIC_SPLITS = 3  # as published
DEIC_HELD_OUT = 1000  # a class, at the end of the tuning pool: as many as CIFAR-10 has test images
FOLDS = 10  # at most: a tenth is held out, so that what is measured knows nearly all images

# Traits: `ways`, the default number of classes in place of the dataset's (None for all); `seeds`, that of
# tasks, where there is one; `whole`, trials are long trainings on whole datasets; `long`, trials may take
# long all the same, and a training that is cut off resumes where it stood; `shots`, False where the rule
# takes all training images that it does not hold out; `balanced`, False where it holds out images of the
# classes as they come; `everything`, every task has all images of the training part; `published`, what
# papers report under the rule as it is by default (`fewshot.data.published`).
protocols = Registry("protocol")

# labels, training positions, held-out positions, and the part of the latter
Draw: TypeAlias = "tuple[np.ndarray, np.ndarray, np.ndarray, str]"
# from the number of classes and of ways to labels
ClassChoice: TypeAlias = "Callable[[int, int], np.ndarray]"


def numbers_of_tasks() -> str:
    """Return, in words, how many tasks the protocols have that do not draw any number of them."""
    counts = {name: protocols[name].traits.get("seeds") for name in protocols}
    return ", ".join(f"{name}: {count}" for name, count in counts.items() if count)


def takes_shots(name: str) -> bool:
    """Return whether a protocol trains on `shots` images a class, rather than on all there are."""
    return bool(protocols[name].traits.get("shots", True))


@dataclass(frozen=True)
class Task:
    """One draw: what a learner is trained on, and what it is measured on.

    classes: the names of the drawn classes; the labels of `train` and `test` stay those of the dataset.
    train_index, test_index: positions in the dataset's `train` part and in its part `test_part`.
    """

    seed: int
    classes: tuple[str, ...]
    train: Dataset
    test: Dataset
    train_index: np.ndarray
    test_index: np.ndarray
    test_part: str


@dataclass(frozen=True)
class Protocol:
    """How tasks are drawn.

    name: a registered rule. ways: classes a task, None for all. shots: training images a class.
    classes: fixed class names instead of drawn ones. balanced: as many held-out images of each class.
    limit: where a rule takes the whole training set, at most so many of its images, as many of each class.
    prior: how classes count in training that have unequal numbers of images (`Dataset.prior`).
    """

    name: str = "testbed"
    ways: int | None = 2
    shots: int = 50
    classes: tuple[str, ...] = ()
    balanced: bool = True
    limit: int | None = None
    prior: Prior = "alike"

    def __str__(self) -> str:
        """Say how tasks are drawn: "testbed: 2 classes × 50 images"."""
        ways = f"{self.ways} classes" if self.ways else "all classes"
        shots = f" × {self.shots} images" if takes_shots(self.name) else ""
        return f"{self.name}: {ways}{shots}"

    def sample_task(self, splits: Splits, seed: int, share: tuple[int, int] = (0, 1)) -> Task:
        """Return the task of one seed; `UsageError` where the data cannot give it.

        share: (i, n) for every n-th of its images, the i-th of them first: what one of n workers prepares.
        """
        labels, train, test, part = self.positions(splits, seed)
        train, test = train[share[0] :: share[1]], test[share[0] :: share[1]]
        return Task(
            seed=seed,
            classes=tuple(splits.classes[label] for label in labels),
            train=replace(splits.train.take(train), prior=self.prior),
            test=splits.parts[part].take(test),
            train_index=train,
            test_index=test,
            test_part=part,
        )

    def positions(self, splits: Splits, seed: int) -> Draw:
        """Return a task's labels, its training and held-out positions, and the part of the latter."""
        return protocols[self.name](self, splits, seed)

    def describe(self) -> dict:
        """Return what identifies the rule, for records and their keys: nothing that it does not heed."""
        rule = protocols[self.name]
        settings = {**asdict(self), "classes": list(self.classes), "version": rule.version}
        settings["balanced"] = rule.traits.get("balanced", self.balanced)
        if not takes_shots(self.name):
            del settings["shots"]
        if self.limit is None:
            del settings["limit"]
        del settings["prior"]  # of the data, too, it depends whether it changes anything: `heeds_prior`
        return settings

    def heeds_prior(self, open_splits: Callable[[], Splits]) -> bool:
        """Return whether tasks may be trained on unequal classes, so that the prior changes results.

        open_splits: gives the images, where the rule alone does not decide.
        """
        if takes_shots(self.name):
            return False
        splits = open_splits()
        counts = np.bincount(splits.train.y, minlength=len(splits.classes))[_first_labels(self, splits)]
        return bool(protocols[self.name].traits.get("everything")) or len(set(counts.tolist())) > 1

    def labels(self, splits: Splits, drawn: ClassChoice) -> np.ndarray:
        """Return the labels of a task's classes: the fixed ones, or `drawn(classes, ways)`."""
        if len(set(self.classes)) < len(self.classes):
            raise UsageError(f"{field('classes')} names a class twice")
        if self.classes:
            for name in self.classes:
                if name not in splits.classes:
                    raise unknown("class", name, splits.classes)
            return np.array([splits.classes.index(name) for name in self.classes])
        count = len(splits.classes)
        ways = self.ways or count
        if ways > count:
            raise UsageError(f"{splits.name} has {count} classes: {field('ways', ways)} asks for more")
        return drawn(count, ways)


def _where(dataset: Dataset, labels: np.ndarray, part: str = "train", least: int = 1) -> list[np.ndarray]:
    """Return, for each label, where its images stand in dataset order; at least `least` of them."""
    positions = [np.flatnonzero(dataset.y == label) for label in labels]
    counts = zip(labels, map(len, positions), strict=True)
    short = [f"{dataset.classes[label]} {count}" for label, count in counts if count < least]
    if short:
        raise UsageError(
            f"too few images per class in the {part} part ({', '.join(short)}): {least} each are needed; "
            f"ask for fewer {field('shots')}, add images, or use another {field('protocol')}"
        )
    return positions


def _official_test(splits: Splits, labels: np.ndarray) -> np.ndarray:
    """Return the positions of the labels' images in the test part."""
    if splits.test is None:
        raise UsageError(f"{splits.name} has no test images: use {field('protocol', 'stratified')}")
    return np.concatenate(_where(splits.test, labels, "test"))


def _pool(seed: int, prng: np.random.RandomState) -> np.ndarray:
    return prng.permutation(POOL) if seed < TUNING else POOL + prng.permutation(TUNING_POOL)


def _testbed_draw(protocol: Protocol, splits: Splits, seed: int, pair: ClassChoice | None = None) -> Draw:
    """The draw that the few-shot report's testbed makes; `pair` replaces its choice of classes."""
    if seed >= 2**32:
        raise UsageError(f"this protocol's seeds go up to {2**32 - 1}. Received: {seed}")
    prng = np.random.RandomState(seed)
    perm = _pool(seed, prng)
    labels = protocol.labels(splits, pair or (lambda count, ways: prng.permutation(count)[:ways]))
    start = max(50, protocol.shots)  # fewer shots keep the same held-out images, so that they compare
    if start >= POOL:
        raise UsageError(f"{field('shots', protocol.shots)}: this protocol draws from {POOL} images a class")
    index = _where(splits.train, labels, least=POOL if seed < TUNING else POOL + TUNING_POOL)
    train = np.concatenate([i[perm[: protocol.shots]] for i in index])
    held_out = np.concatenate([i[perm[start : start + HELD_OUT]] for i in index])
    return labels, train, held_out, "train"


@protocols.register("testbed")
def testbed(protocol: Protocol, splits: Splits, seed: int) -> Draw:
    """2 random classes × 50 images; 350 more of each held out (the few-shot report's testbed)."""
    return _testbed_draw(protocol, splits, seed)


@protocols.register("testbed-test")
def testbed_test(protocol: Protocol, splits: Splits, seed: int) -> Draw:
    """The same draw, evaluated on the official test images of its classes."""
    if seed >= TUNING:
        raise UsageError(f"testbed-test has no tuning tasks: tune with {field('protocol', 'testbed')}")
    labels, train, _, _ = _testbed_draw(protocol, splits, seed)
    return labels, train, _official_test(splits, labels), "test"


@protocols.register("pairs45", seeds=45)
def pairs45(protocol: Protocol, splits: Splits, seed: int) -> Draw:
    """Every pair of classes once, in order: the seed is the number of the pair (45 for 10 classes)."""
    pairs = list(itertools.combinations(range(len(splits.classes)), 2))
    number = seed % TUNING if seed >= TUNING else seed
    if protocol.classes or protocol.ways != 2:
        raise UsageError(f"pairs45 goes through all pairs: leave out {field('classes')} and {field('ways')}")
    if number >= len(pairs):
        raise UsageError(f"pairs45 has {len(pairs)} pairs: seeds 0-{len(pairs) - 1}. Received: {seed}")
    return _testbed_draw(protocol, splits, seed, lambda count, ways: np.array(pairs[number]))


@protocols.register("stratified")
def stratified(protocol: Protocol, splits: Splits, seed: int) -> Draw:
    """A random draw a class: the shots for training, the rest (or the test images) held out."""
    return _stratified(protocol, splits, seed, _held_out_part(splits, seed))


@protocols.register("distinct", version=3, ways=None)
def distinct(protocol: Protocol, splits: Splits, seed: int) -> Draw:
    """The same for images that repeat: near-duplicates never stand on both sides, nor twice in training.

    Of the smallest class no more than HELD_OUT images are held out, of others as large a share, so that a
    draw from thousands of images costs no more than one from hundreds.
    """
    part = _held_out_part(splits, seed)
    return _stratified(protocol, splits, seed, part, near_duplicates(splits.train, splits.parts[part]))


def _stratified(
    protocol: Protocol,
    splits: Splits,
    seed: int,
    part: str,
    grouped: tuple[np.ndarray, np.ndarray] | None = None,
) -> Draw:
    """Draw the shots of each class, hold the rest out; grouped: the groups of both parts."""
    prng = rng(seed, "task")
    labels = protocol.labels(splits, lambda count, ways: np.sort(prng.permutation(count)[:ways]))
    least = protocol.shots + (part == "train")
    shuffled = [prng.permutation(i) for i in _where(splits.train, labels, least=least)]
    if grouped:
        order = [np.sort(np.unique(grouped[0][i], return_index=True)[1]) for i in shuffled]
        train = [i[first[: protocol.shots]] for i, first in zip(shuffled, order, strict=True)]
    else:
        train = [i[: protocol.shots] for i in shuffled]
    if part == "train":
        rest = [i[~np.isin(i, shots)] for i, shots in zip(shuffled, train, strict=True)]
    else:
        rest = [prng.permutation(i) for i in _where(splits.parts[part], labels, part)]
    if grouped:
        seen = grouped[0][np.concatenate(train)]
        rest = [i[~np.isin(grouped[1][i], seen)] for i in rest]
        short = min(map(len, train)) < protocol.shots or not all(map(len, rest))
        if short:
            raise UsageError(
                f"without near-duplicates there are too few images for {protocol.shots} a class and some "
                f"held out: ask for fewer {field('shots')}, add images, or draw regardless with "
                f"{field('protocol', 'stratified')}"
            )
        share = min(1.0, HELD_OUT / min(map(len, rest)))
        rest = [i[: round(share * len(i))] for i in rest]
    return labels, np.concatenate(train), np.concatenate(_balance(rest, protocol)), part


_grouped: list[tuple[Dataset, Dataset, tuple[np.ndarray, np.ndarray]]] = []  # of the data seen last


def near_duplicates(train: Dataset, held_out: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the near-duplicates' group numbers of both parts, which may be one.

    Those of a folder were found as it was prepared; of other data they are computed, once a process.
    """
    if train.groups is not None and held_out.groups is not None:
        return train.groups, held_out.groups
    for first, second, numbers in _grouped:
        if first is train and second is held_out:
            return numbers
    if held_out is train:
        number = groups(train)
        numbers = number, number
    else:
        both = Dataset(
            np.concatenate([train.x, held_out.x]), np.concatenate([train.y, held_out.y]), train.classes
        )
        number = groups(both)
        numbers = number[: len(train)], number[len(train) :]
    _grouped[:] = [*_grouped[-3:], (train, held_out, numbers)]
    return numbers


@protocols.register("deic", ways=None, seeds=DEIC_SPLITS, long=True, published=DEIC)
def deic(protocol: Protocol, splits: Splits, seed: int) -> Draw:
    """All classes × 50 images in dataset order, all test images: the DEIC benchmark's splits (three seeds).

    Split i trains on the images shots·i … shots·i + shots - 1 of each class, as Brigato et al. (IEEE Access
    2022) drew three splits; their first paper (ICCV Workshops 2021) has split 0 alone. Tuning split j, seed
    1000 + j, does so from image 1000 on and is measured on the images 4000 … 4999, all of the training part:
    it shares no image with a reported split, nor with the testbed's reported tasks.
    """
    reported = seed < TUNING
    if reported and seed >= DEIC_SPLITS:
        raise UsageError(
            f"deic has {DEIC_SPLITS} splits (seeds from 0 on): use {field('seeds', DEIC_SPLITS)}"
        )
    labels = _first_labels(protocol, splits)
    size = POOL + TUNING_POOL
    first, end = (0, POOL) if reported else (POOL, size - DEIC_HELD_OUT)
    start = first + protocol.shots * (seed if reported else seed - TUNING)
    stop = start + protocol.shots
    if stop > end:
        raise UsageError(
            f"deic's seed {seed} with {field('shots', protocol.shots)} would take the images "
            f"{start}-{stop - 1} of each class, and the last for it is {end - 1}: "
            f"ask for fewer {field('shots')} or lower {field('seeds')}"
        )
    index = _where(splits.train, labels, least=stop if reported else size)
    train = np.concatenate([i[start:stop] for i in index])
    if reported:
        return labels, train, _official_test(splits, labels), "test"
    return labels, train, np.concatenate([i[end:size] for i in index]), "train"


@protocols.register("full", version=2, ways=None, whole=True, shots=False)
def full(protocol: Protocol, splits: Splits, seed: int) -> Draw:
    """The whole training set; the whole test set (a stratified fifth, where there is none).

    Tuning seeds are measured on the val images or, where there are none, on a stratified tenth of the
    training images, which they are not trained on; it is the same tenth for all of them.
    """
    tuning = seed >= TUNING
    if tuning and splits.test is None:
        raise UsageError(f"{splits.name} has no test images to keep apart: divide it into train/ and test/")
    prng = rng(TUNING if tuning else seed, "task")
    labels = _first_labels(protocol, splits)
    part = next(part for part in (("val",) if tuning else ("test",)) + ("train",) if part in splits.parts)
    index = _where(splits.train, labels, least=2)
    if part == "train":
        share = VALIDATION if tuning else FULL_HELD_OUT
        shuffled = [prng.permutation(i) for i in index]
        cuts = [max(1, round(len(i) * share)) for i in shuffled]
        index = [i[cut:] for i, cut in zip(shuffled, cuts, strict=True)]
        held_out = [i[:cut] for i, cut in zip(shuffled, cuts, strict=True)]
    else:
        held_out = _where(splits.parts[part], labels, part)
    if protocol.limit:
        each = protocol.limit // len(index)
        if not each:
            raise UsageError(f"{field('limit_train', protocol.limit)} is less than an image for each class")
        index = [rng(seed, f"limit {label}").permutation(i)[:each] for label, i in enumerate(index)]
    return labels, np.concatenate(index), np.concatenate(_balance(held_out, protocol)), part


@protocols.register("folds", ways=None, shots=False, balanced=False, everything=True)
def folds(protocol: Protocol, splits: Splits, seed: int) -> Draw:
    """All images in ten parts, each held out once; the next ten seeds divide them anew (stratified K-fold).

    Seed s holds out part s % K of division s // K and trains on all others, as unequal as the classes are.
    K is 10, or what the smallest class has where that is less; near-duplicates count once, and stand on one
    side. The training part alone is divided: a test part stays apart.
    """
    if seed >= TUNING:
        raise UsageError(
            f"folds holds out every image in turn and keeps none apart for tuning tasks (seeds {TUNING} and "
            f"up): tune with {field('protocol', 'distinct')}"
        )
    labels = _first_labels(protocol, splits)
    parts = count_folds(protocol, splits)
    images = np.concatenate([np.flatnonzero(splits.train.y == label) for label in labels])
    scenes = near_duplicates(splits.train, splits.train)[0][images]
    part = _divide(splits.train.y[images], scenes, parts, rng(seed // parts, "folds"))
    held_out = part == seed % parts
    return labels, images[~held_out], images[held_out], "train"


def count_folds(protocol: Protocol, splits: Splits) -> int:
    """Return into how many parts `folds` divides the images; `UsageError` where a class has too few."""
    scenes = near_duplicates(splits.train, splits.train)[0]
    labels = _first_labels(protocol, splits)
    apart = {int(label): len(np.unique(scenes[splits.train.y == label])) for label in labels}
    for label, count in apart.items():
        if count < 2:
            images = int((splits.train.y == label).sum())
            what = f"{images} images, all near-duplicates of one another" if images > 1 else "one image"
            others = [splits.classes[other] for other in apart if apart[other] > 1]
            leave = f", or leave it out: {field('classes')} {' '.join(others)}" if len(others) > 1 else ""
            raise UsageError(
                f"class '{splits.classes[label]}' has {what if images else 'no image'}, which cannot be both "
                f"trained on and tested: add images of it{leave}"
            )
    return min(FOLDS, *apart.values())


def _first_labels(protocol: Protocol, splits: Splits) -> np.ndarray:
    return protocol.labels(splits, lambda count, ways: np.arange(count)[:ways])


def _divide(labels: np.ndarray, scenes: np.ndarray, parts: int, prng: np.random.Generator) -> np.ndarray:
    """Return the part of each image, int (N,): scenes stay whole, and each class is spread evenly.

    Large scenes go first, each to the part that has the least of its classes (and, among those, the fewest
    images): what is left, single images, then evens out what these could not.
    """
    present, label = np.unique(labels, return_inverse=True)
    number, scene = np.unique(scenes, return_inverse=True)
    content = np.zeros((len(number), len(present)), int)
    np.add.at(content, (scene, label), 1)
    share = content / content.sum(0)  # a photo of a small class weighs more
    filled = np.zeros((parts, len(present)), int)
    order = prng.permutation(len(number))
    part_of = np.empty(len(number), int)
    for number_of in order[np.argsort(-content.sum(1)[order], kind="stable")]:
        crowded = filled @ share[number_of]
        least = np.flatnonzero(crowded <= crowded.min() + 1e-12)
        totals = filled[least].sum(1)
        part = prng.choice(least[totals == totals.min()])
        part_of[number_of] = part
        filled[part] += content[number_of]
    return part_of[scene]


def _held_out_part(splits: Splits, seed: int) -> str:
    """Return the part to measure on: the source's test images, its val images for tuning, else the rest."""
    if seed < TUNING:
        return next(part for part in ("test", "val", "train") if part in splits.parts)
    if splits.val is None or splits.test is None:
        raise UsageError(
            f"{splits.name} has no images to keep apart for tuning tasks (seeds {TUNING} and up): "
            "divide the folder into train/, val/ and test/"
        )
    return "val"


def _balance(index: list[np.ndarray], protocol: Protocol) -> list[np.ndarray]:
    """Cut all classes to the size of the smallest, unless the protocol keeps them as they are."""
    least = min(len(i) for i in index) if protocol.balanced else None
    return [i[:least] for i in index]
