"""Heads on frozen features of several views: candidates are tried on the training photos, the best averaged.

A candidate is views × scale × head, the backbones side by side. Photos are looked at by every backbone in
every view; features are kept by content, so that they are computed once. Candidates are judged by predictions
of photos held out, all views of a photo and all near-duplicates on one side. With few photos the best is best
partly by luck: those that are not clearly behind it are averaged. What a candidate costs grows with the cube
of the photos: of many, a sample decides which ones are judged by all of them.

Measured on cuts of CIFAR-10 as photos, 12 and 50 a class: to choose among single backbones and ridge
regression, too, costs half a point. Mirrored photos, which double the cost of the features, bring with two
backbones 1.3 ± 0.4 points on textiles (standard error, 20 cuts of 50 photos a class), 1.0 ± 0.2 with 12 a
class, 0.15 ± 0.10 on cats, dogs and trucks, and on digits no loss (-0.1 ± 0.5 and +0.7 ± 0.6 with one).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewshot import backend
from fewshot.backbones.features import extract, keys_of, parse, seconds
from fewshot.baselines.scales import SCALES, fit_scale
from fewshot.data import duplicates
from fewshot.data.dataset import Dataset
from fewshot.data.protocols import Task
from fewshot.data.stored import together
from fewshot.data.views import VERSION as VIEWS_VERSION
from fewshot.data.views import VIEWS
from fewshot.errors import unknown
from fewshot.learners.contract import Fit, Learner, learners
from fewshot.learners.members import FeatureTable, Member, rows_of
from fewshot.seeding import rng
from fewshot.settings import Count

if TYPE_CHECKING:
    import keras

MANY, FEW = 1000, 500  # of more photos than many, a few tell which candidates are worth judging by all


@dataclass(frozen=True)
class Candidate:
    """What a member is before it is fitted; see `fewshot.learners.members.Member`."""

    backbones: tuple[str, ...]
    views: tuple[str, ...]
    beside: bool
    scale: str
    head: str

    def __str__(self) -> str:
        """Return a name: "efficientnet-lite0@224, whole beside centre, l2, lda"."""
        between = " beside " if self.beside else " and "
        parts = ("+".join(self.backbones), between.join(self.views), self.scale, self.head)
        return ", ".join(parts)


@dataclass(frozen=True)
class Score:
    """How a candidate predicts training photos that are held out."""

    log_loss: float
    accuracy: float


@learners.register("heads", version=3)
@dataclass
class HeadsLearner(Learner):
    """Linear heads on frozen features of several views: the best few by cross-validation, averaged.

    backbones: as features are named, side by side by "+". views: names of `fewshot.data.views`; images that
    are no views of photos are taken as one, the whole. scales, heads: those to try. mirror: whether every
    view is looked at mirrored, too, in training and in prediction. average: how many of the candidates are
    averaged at most; none is whose log loss is more than its standard error behind the least.

    After `fit`: `members`, what is averaged; `scores`, candidate → `Score`, the best first, of those judged
    by all photos; empty where no photo could be held out.
    """

    backbones: str = "efficientnet-lite0@224+resnet50@224"
    views: str = "whole+centre"
    scales: str = "zscore+centred-l2"
    heads: str = "logistic-cv+lda"
    mirror: bool = True
    average: Count = 4

    looks_at = "views"
    weighs = True
    prepares_each_image = True

    def fit(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> HeadsLearner:
        """Try all candidates on the training photos, and keep the best few, fitted to all of them."""
        views = self._distinct_views(train.x)
        table = self._features(train.x, views)
        photos = train.groups
        if photos is None:
            photos = duplicates.groups(Dataset(_pick(train.x, views[0]), train.y, train.classes))
        present, labels = np.unique(train.y, return_inverse=True)
        if len(present) == 1:
            best, scores = [self._only(views[0], table)], dict[Candidate, Score]()
        else:
            weights = None if train.prior == "alike" else train.weights
            best, scores = self._best(table, views, labels, photos, weights, seed)
        self.members = tuple(_on_all_classes(member, present, len(train.classes)) for member in best)
        self.scores = dict(sorted(scores.items(), key=lambda part: part[1].log_loss))
        self.fitted = Fit.in_one_step(len(train))
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities, (N, classes), of views (N, V, S, S, 3) or images (N, height, width, 3)."""
        table = self._features(x, tuple(dict.fromkeys(v for member in self.members for v in member.views)))
        return np.mean([member.probabilities(table) for member in self.members], axis=0)

    def _best(
        self,
        table: FeatureTable,
        views: tuple[str, ...],
        labels: np.ndarray,
        photos: np.ndarray,
        weights: np.ndarray | None,
        seed: int,
    ) -> tuple[list[Member], dict[Candidate, Score]]:
        """Return the members with the least log loss, the best first, and the scores of the candidates."""
        if len(labels) <= MANY:
            return self._judged(table, list(self._candidates(views)), labels, photos, weights, seed)
        few = _sample(labels, photos, seed)
        part = {key: rows[few] for key, rows in table.items()}
        counted = None if weights is None else weights[few]
        every = list(self._candidates(views))
        ahead, _ = self._judged(part, every, labels[few], photos[few], counted, seed)
        worth = set(map(_candidate, ahead))
        kept = [candidate for candidate in every if candidate in worth]
        return self._judged(table, kept, labels, photos, weights, seed)

    def _judged(
        self,
        table: FeatureTable,
        candidates: Sequence[Candidate],
        labels: np.ndarray,
        photos: np.ndarray,
        weights: np.ndarray | None,
        seed: int,
    ) -> tuple[list[Member], dict[Candidate, Score]]:
        """Return the members with the least log loss, the best first, and the scores of these candidates."""
        from fewshot.baselines.heads import Rotated, fit_head
        from fewshot.baselines.heads.folds import deal

        folds, n = deal(labels, photos, seed), len(labels)
        scores: dict[Candidate, Score] = {}
        best: list[tuple[float, np.ndarray, Member]] = []
        # What shares its features, and these its scale, is computed once: such candidates stand in a row.
        for (backbones, seen, beside), same in itertools.groupby(candidates, _features_of):
            rows = list(rows_of(backbones, seen, beside, self.mirror))
            blocks = [np.concatenate([table[row[i]] for row in rows]) for i in range(len(rows[0]))]
            y, groups, copied = (np.tile(part, len(rows)) for part in (labels, photos, folds))
            for name, scaled_alike in itertools.groupby(same, lambda candidate: candidate.scale):
                scales = tuple(fit_scale(name, block) for block in blocks)
                scaled = [scale(block) for scale, block in zip(scales, blocks, strict=True)]
                counted = None if weights is None else np.tile(weights, len(rows))
                rotated = Rotated(np.concatenate(scaled, 1), y, groups, copied, counted)
                for candidate in scaled_alike:
                    head = candidate.head
                    fitted = fit_head(head, rotated)
                    held_out = fitted.held_out.reshape(len(rows), n, -1).mean(0)
                    score, losses = _score(held_out, labels, weights)
                    if np.isfinite(score.log_loss):
                        scores[candidate] = score
                    member = Member(
                        backbones, seen, beside, self.mirror, name, head, scales, fitted.kernel, fitted.bias
                    )
                    # Of equal ones the first: the sort is stable.
                    best = sorted([*best, (score.log_loss, losses, member)], key=lambda part: part[0])
                    del best[self.average :]
        least = best[0][1]
        return [member for _, losses, member in best if not _clearly_more(losses, least)], scores

    def _candidates(self, views: tuple[str, ...]) -> Iterator[Candidate]:
        """Yield all candidates, those of the same features and scale in a row."""
        for of in self._sets(views):
            for scale, head in itertools.product(self.scales.split("+"), self.heads.split("+")):
                yield Candidate(*of, scale, head)

    def _sets(self, views: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], bool]]:
        """Yield backbones, views, and whether these stand side by side, of the features to try."""
        backbones = self._terms()
        for view in views:
            yield backbones, (view,), False
        if len(views) > 1:
            yield backbones, views, False
            yield backbones, views, True

    def _only(self, view: str, table: FeatureTable) -> Member:
        """Return what always answers the one class that there is."""
        term = self._terms()[0]
        none = fit_scale("none", table[term, view, False])
        kernel = np.zeros((table[term, view, False].shape[1], 1))
        return Member((term,), (view,), False, self.mirror, "none", "centroid", (none,), kernel, np.zeros(1))

    def _terms(self) -> tuple[str, ...]:
        """Return the backbones one by one, as `features.extract` takes them."""
        return tuple(map(str, parse(self.backbones)))

    def _distinct_views(self, x: np.ndarray) -> tuple[str, ...]:
        """Return the views to look at: of square photos several are the same."""
        if x.ndim == 4:
            return VIEWS[:1]
        distinct: list[str] = []
        for view in dict.fromkeys(self.views.split("+")):
            if not any(keys_of(_pick(x, view)) == keys_of(_pick(x, other)) for other in distinct):
                distinct.append(view)
        return tuple(distinct)

    def _features(self, x: np.ndarray, views: tuple[str, ...]) -> dict[tuple[str, str, bool], np.ndarray]:
        """Return the features of images by backbone, view, and whether they are mirrored."""
        return {key: extract(key[0], seen) for key, seen in self._seen(x, views)}

    def _seen(
        self, x: np.ndarray, views: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, str, bool], np.ndarray]]:
        """Yield backbone, view and whether it is mirrored, each with what the backbone looks at."""
        for backbone, view in itertools.product(self._terms(), views):
            picked = _pick(x, view)
            yield (backbone, view, False), picked
            if self.mirror:
                yield (backbone, view, True), np.asarray(picked)[:, :, ::-1]

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise `UsageError` for names of backbones, views, scales and heads that are unknown."""
        from fewshot.baselines.heads import HEADS

        parse(self.backbones)
        for kind, text, known in (
            ("view", self.views, VIEWS),
            ("scale", self.scales, SCALES),
            ("head", self.heads, HEADS),
        ):
            for name in text.split("+"):
                if name not in known:
                    raise unknown(kind, name, known)

    def shared(self) -> tuple:
        """Return of which backbones and views there are features."""
        return ("heads", self.backbones, self.views, self.mirror)

    def prepare(self, task: Task) -> None:
        """Compute the features of a task, for this and every other learner."""
        # At once: a backbone looks at full batches, and of few images a rest would cost as much again.
        self._features(together(task.train.x, task.test.x), self._distinct_views(task.train.x))

    def describe(self) -> dict:
        """Return the settings, what determines the features, and the libraries that compute."""
        described = super().describe()
        versions = {**described["versions"], "views": VIEWS_VERSION}
        return {
            **asdict(self),
            "features": [term.describe() for term in parse(self.backbones)],
            "versions": versions,
            "libraries": backend.versions("scikit-learn", "scipy", "numpy"),
        }

    def features_of(self, x: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Return of which backbones there are features, each with the views that it looks at."""
        return [(key[0], seen) for key, seen in self._seen(x, self._distinct_views(x))]

    def feature_seconds(self, images: int) -> float:
        """Return the seconds on one core that the features take, of all views and mirrored, roughly."""
        renditions = len(self.views.split("+")) * (2 if self.mirror else 1)
        return seconds(self.backbones, images * renditions)

    def pretrained(self) -> tuple[str, ...]:
        """Return the backbones of the members, or all to choose from before it is fitted."""
        members = getattr(self, "members", ())
        return tuple(dict.fromkeys(b for member in members for b in member.backbones)) or self._terms()

    def workload(self, n: int) -> str:
        """Return in words what training on `n` images takes."""
        return f"{n:9,} images, heads on features"

    def embedding(self, x: np.ndarray) -> np.ndarray:
        """Return the features that the first member looks at first, (N, D)."""
        backbone, view, _ = next(self.members[0].blocks())[0]
        return extract(backbone, _pick(x, view))

    def keras_model(self, shape: tuple[int, int, int]) -> keras.Model:
        """Return the members as one `keras.Model` that takes photos of any size and cuts the views itself."""
        from fewshot.learners.heads_graph import keras_model

        return keras_model(self.members, shape[0])


def _pick(x: np.ndarray, view: str) -> np.ndarray:
    """Return one view of photos, (N, S, S, 3); images that are no views as they are."""
    return x if x.ndim == 4 else x[:, VIEWS.index(view)]


def _features_of(candidate: Candidate) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    return candidate.backbones, candidate.views, candidate.beside


def _candidate(member: Member) -> Candidate:
    return Candidate(member.backbones, member.views, member.beside, member.scale, member.head)


def _sample(labels: np.ndarray, photos: np.ndarray, seed: int) -> np.ndarray:
    """Return the positions of `FEW` photos, as many of each class, all near-duplicates of one with it."""
    random, classes = rng(seed, "heads sample"), np.unique(labels)
    each = max(2, FEW // len(classes))
    drawn = [random.permutation(np.unique(photos[labels == label]))[:each] for label in classes]
    return np.flatnonzero(np.isin(photos, np.concatenate(drawn)))


def _score(held_out: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> tuple[Score, np.ndarray]:
    """Return the score of probabilities of photos, (n, C), and the weighted loss of each that is tested.

    Probabilities are NaN for photos that no fold holds out. weights: what each photo counts, (n,); None for
    classes that count alike.
    """
    tested = ~np.isnan(held_out).any(1)
    if not tested.any():
        return Score(np.inf, np.nan), np.zeros(0)
    held_out, labels = held_out[tested], labels[tested]
    right = held_out[np.arange(len(labels)), labels]
    weights = 1 / np.bincount(labels)[labels] if weights is None else weights[tested]
    weights /= weights.sum()
    losses = -weights * np.log(np.maximum(right, 1e-12))
    accuracy = 100 * weights @ (held_out.argmax(1) == labels)
    return Score(float(losses.sum()), float(accuracy)), losses


def _clearly_more(losses: np.ndarray, least: np.ndarray) -> bool:
    """Return whether the sum of losses of the same photos is more, by over a standard error."""
    more = losses - least
    return bool(more.sum() > np.sqrt(len(more) * more.var(ddof=1)) if len(more) > 1 else more.sum() > 0)


def _on_all_classes(member: Member, present: np.ndarray, classes: int) -> Member:
    """Return the member with all classes: those without a photo are never the answer."""
    kernel, bias = np.zeros((len(member.kernel), classes)), np.full(classes, -np.inf)
    kernel[:, present], bias[present] = member.kernel, member.bias
    return replace(member, kernel=kernel, bias=bias)
