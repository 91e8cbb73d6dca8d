"""What strategies said of images while these were held out, put together from the draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from fewshot.data import Splits
from fewshot.data.dataset import Prior
from fewshot.data.protocols import count_folds, near_duplicates, protocols
from fewshot.trials.plan import Plan
from fewshot.trials.predictions import read_predictions
from fewshot.trials.record import Record
from fewshot.trials.store import Store

T = TypeVar("T")
DRAWS = 10  # that make a round, where a protocol has none of its own


@dataclass(frozen=True)
class Pool:
    """The images that draws hold out from.

    Parameters
    ----------
    part
        The part of the dataset: "train", or "test" where that is what draws are measured on.
    per_round
        So many draws in a row hold each image out at most once.
    same_classes
        Whether all draws have all classes: then photos can be counted, else only draws.
    groups
        (N,), numbers of groups of near-duplicates among the images.
    training
        How many images a draw trains on.
    folds
        Whether these are all others.
    prior
        How classes count that have unequal numbers of images.
    classes
        The labels that all draws have, in order, where these are some of the dataset's; else empty.
    images
        (N,), whether an image is of these; None where all are.
    """

    part: str
    per_round: int
    same_classes: bool
    groups: np.ndarray
    training: int = 100
    folds: bool = False
    prior: Prior = "alike"
    classes: tuple[int, ...] = ()
    images: np.ndarray | None = None

    def __len__(self) -> int:
        """How many images there are, those of other classes included."""
        return len(self.groups)

    @property
    def count(self) -> int:
        """How many images there are of the draws' classes."""
        return len(self) if self.images is None else int(self.images.sum())

    def of_classes(self, per_class: Sequence[T]) -> list[T]:
        """Return what there is for each class of the dataset for those of the draws alone."""
        return [per_class[label] for label in self.classes or range(len(per_class))]


def pool_of(plan: Plan, splits: Splits) -> Pool:
    """Return what the draws of a plan hold out from."""
    protocol = plan.protocol
    labels, train, _, part = protocol.positions(splits, plan.seeds[0])
    usual_ways = protocols[protocol.name].traits.get("ways", plan.data.default_ways)
    # Fixed classes are the same in all draws: where a rule otherwise takes all, these are all there are.
    fixed = bool(protocol.classes) and usual_ways is None
    some = fixed and len(labels) < len(splits.classes)
    return Pool(
        part,
        count_folds(protocol, splits) if protocol.name == "folds" else DRAWS,
        protocol.ways is None or fixed,
        near_duplicates(splits.train, splits.parts[part])[1],
        len(train),
        protocol.name == "folds",
        protocol.prior,
        tuple(sorted(labels.tolist())) if some else (),
        np.isin(splits.parts[part].y, labels) if some else None,
    )


@dataclass(frozen=True)
class HeldOut:
    """Held-out predictions of one strategy.

    Parameters
    ----------
    probabilities : (R, N, classes) float32
        Of N images, once in each of R rounds; NaN where an image was not held out.
    labels : (N,) int
        The given labels; -1 of images that were never held out.
    """

    probabilities: np.ndarray
    labels: np.ndarray

    @property
    def tested(self) -> np.ndarray:
        """Whether an image was held out at least once, (N,)."""
        return self.labels >= 0

    @property
    def complete(self) -> np.ndarray:
        """The probabilities of the tested images, of the rounds in which all of them were held out.

        (R, tested, classes); where there is no such round, one with the mean over the rounds.
        """
        tested = self.probabilities[:, self.tested]
        whole = ~np.isnan(tested[:, :, 0]).any(1)
        return tested[whole] if whole.any() else self.mean()[None, self.tested]

    def mean(self) -> np.ndarray:
        """Return the mean probabilities over the rounds, (N, classes); NaN for what was never held out."""
        counts = (~np.isnan(self.probabilities[:, :, 0])).sum(0)[:, None]
        return np.where(counts, np.nansum(self.probabilities, 0) / np.maximum(counts, 1), np.nan)

    def correct(self) -> np.ndarray:
        """Return how often each image was right, (N,) from 0 to 1; NaN for what was never held out."""
        held = ~np.isnan(self.probabilities[:, :, 0])
        right = np.nan_to_num(self.probabilities, nan=-1.0).argmax(2) == self.labels
        counts = held.sum(0)
        return np.where(counts, (right & held).sum(0) / np.maximum(counts, 1), np.nan)


def counted(said: HeldOut, pool: Pool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what was said of the tested images, (R, tested, classes), their labels and their groups.

    Of the draws' classes alone, numbered without gaps, as a model of them has them.
    """
    probabilities, labels = said.complete, said.labels[said.tested]
    if pool.classes:
        probabilities = probabilities[:, :, list(pool.classes)]
        labels = np.searchsorted(pool.classes, labels)
    return probabilities, labels, pool.groups[said.tested]


def held_out(records: Mapping[int, Record], store: Store, pool: Pool) -> HeldOut | None:
    """Return what a strategy said of a pool's images, or None where no predictions were kept.

    Parameters
    ----------
    records
        Draw → record.
    store
        Where the predictions are.
    pool
        What the draws hold out from.
    """
    kept = {}
    for draw, record in sorted(records.items()):
        predictions = read_predictions(store, record) if record.ok else None
        if predictions is not None:
            kept[draw] = predictions
    if not kept:
        return None
    rounds = {number: i for i, number in enumerate(sorted({draw // pool.per_round for draw in kept}))}
    classes = next(iter(kept.values())).probabilities.shape[1]
    probabilities = np.full((len(rounds), len(pool), classes), np.nan, np.float32)
    labels = np.full(len(pool), -1)
    for draw, predictions in kept.items():
        probabilities[rounds[draw // pool.per_round], predictions.index] = predictions.probabilities
        labels[predictions.index] = predictions.labels
    return HeldOut(probabilities, labels)
