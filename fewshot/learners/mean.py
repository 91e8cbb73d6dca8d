"""Ensembles of unlike methods: their probabilities, brought to one scale, are averaged.

Methods that err on different images are better together than the best of them alone, if none drowns the
others out: a ridge regression says 0.6 where a network says 0.99. So each member's log probabilities are
multiplied by one factor, fitted to predictions of training images that it had not seen (a temperature, arXiv
1706.04599). Estimators have such predictions in closed form or after a few short fits; networks would have
to be trained five times more, and are taken as they are unless `calibrate=all` asks for it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from fewshot.data.dataset import Dataset
from fewshot.data.protocols import Task
from fewshot.errors import BrokenCode, UsageError
from fewshot.identity import place_of
from fewshot.learners.contract import Fit, Learner, LooksAt, definition_version, ensembles
from fewshot.learners.held_out import SMALLEST, by_folds
from fewshot.stats.calibration import fit_temperature
from fewshot.wording import plural

if TYPE_CHECKING:
    import keras

SUM = 1e-3  # by which written weights may miss 1: three thirds are written 0.333
LOOKS: tuple[LooksAt, ...] = ("small", "large", "views")


@ensembles.register("mean")
@dataclass
class MeanLearner(Learner):
    """The weighted mean of the members' probabilities, brought to one scale.

    members: two learners or more, each of which is trained as it would be alone, from the same seed.
    weights: one a member, positive, 1 in all; none for members that count alike. average: of logarithms
    ("log", renormalised: the geometric mean) or of probabilities ("plain"). calibrate: whose scale is fitted
    to held-out predictions: "cheap", of the members that have these without further trainings; "all", of the
    others by five trainings more; "none".

    After `fit`: `factors`, what each member's log probabilities are multiplied by.
    """

    members: tuple[Learner, ...]
    weights: tuple[float, ...] = ()
    average: Literal["log", "plain"] = "log"
    calibrate: Literal["cheap", "all", "none"] = "cheap"

    weighs = True  # each member is trained by `train`, which heeds them in its own way

    def __post_init__(self) -> None:
        self.members = tuple(self.members)
        self.weights = checked_weights(self.weights, len(self.members))
        if len(self.members) < 2:
            raise UsageError("an ensemble has two members or more")

    def fit(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> MeanLearner:
        """Train every member, each with a checkpoint of its own; there is no curve."""
        fitted = []
        for number, member in enumerate(self.members):
            member_checkpoint = checkpoint and checkpoint.with_name(f"{checkpoint.name}-{number}")
            fitted.append(copy.copy(member).train(train, seed, checkpoint=member_checkpoint))
        self._fitted_members = tuple(fitted)
        self._classes = len(train.classes)
        self.factors = tuple(self._factor(member, train, seed) for member in fitted)
        parts = [member.fitted for member in fitted]
        self.fitted = Fit(
            n_train=max(part.n_train for part in parts),
            updates=sum(part.updates for part in parts),
            images_seen=sum(part.images_seen for part in parts),
            parameters=sum(part.parameters for part in parts),
            curve=Fit.in_one_step(0).curve,
            seconds_before=sum(part.seconds_before for part in parts),
        )
        return self

    def _factor(self, member: Learner, train: Dataset, seed: int) -> float:
        """Return what brings a fitted member's log probabilities to the scale of what they are worth."""
        if self.calibrate == "none":
            return 1.0
        held_out = member.held_out(train, seed)
        if held_out is None and self.calibrate == "all":
            held_out = by_folds(train, seed, lambda part: copy.copy(member).train(part, seed))
        return 1.0 if held_out is None else scale_of(held_out, train)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities, (N, classes)."""
        from scipy.special import softmax

        total = np.zeros((len(x), self._classes))
        for member, weight, factor in zip(self._fitted_members, self._shares, self.factors, strict=True):
            shares = member.predict(x)
            if np.shape(shares) != total.shape:
                raise BrokenCode(
                    f"members of an ensemble disagree on the classes: {place_of(type(member))} predicts "
                    f"probabilities of shape {np.shape(shares)}, and the task wants {total.shape}"
                )
            logs = factor * np.log(np.maximum(shares, SMALLEST))
            total += weight * (logs if self.average == "log" else softmax(logs, 1))
        return softmax(total, 1) if self.average == "log" else total

    @property
    def _shares(self) -> tuple[float, ...]:
        return self.weights or (1 / len(self.members),) * len(self.members)

    @property
    def looks_at(self) -> LooksAt:  # type: ignore[override]  # a constant of other kinds
        """What the member looks at that wants most; where images come in several, all must look at one."""
        return max((member.looks_at for member in self.members), key=LOOKS.index)

    @property
    def uses_backend(self) -> bool:  # type: ignore[override]  # a constant of other kinds
        """Whether a member does."""
        return any(member.uses_backend for member in self.members)

    def parts(self) -> tuple[Learner, ...]:
        """Return the members, those of an ensemble in place of it."""
        return tuple(part for member in self.members for part in (member.parts() or (member,)))

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for images that a member cannot be trained on."""
        for member in self.members:
            member.check(shape)

    def shared(self) -> tuple:
        """Return what of the members decides what `prepare` does."""
        return tuple(member.shared() for member in self.members if member.shared())

    def prepare(self, task: Task) -> None:
        """Compute what the members share with other learners."""
        for member in self.members:
            member.prepare(task)

    def features_of(self, x: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Return which features the members compute, of which images."""
        return [part for member in self.members for part in member.features_of(x)]

    def feature_seconds(self, images: int) -> float:
        """Return the seconds that the members' features take."""
        return sum(member.feature_seconds(images) for member in self.members)

    def describe(self) -> dict:
        """Return what the members are described by, their weights, and how they are averaged."""
        return {
            "members": [member.identity() for member in self.members],
            "weights": list(self.weights),
            "average": self.average,
            "calibrate": self.calibrate,
            "versions": {"learner": definition_version(type(self))},
        }

    def with_training(self, training: Mapping[str, object]) -> MeanLearner:
        """Return the ensemble of the members with some fields of their recipes changed."""
        return replace(self, members=tuple(member.with_training(training) for member in self.members))

    def examples(self, n: int) -> int:
        """Return how many examples a pass of all members has."""
        return sum(member.examples(n) for member in self.members)

    def workload(self, n: int) -> str:
        """Return in words what training on `n` images takes."""
        return f"{self.examples(n):9,} images, {plural(len(self.members), 'member')}"

    def check_export(self) -> None:
        """Raise `UsageError` where a member becomes no Keras model."""
        for member in self.members:
            member.check_export()

    def keras_model(self, shape: tuple[int, int, int]) -> keras.Model:
        """Return the fitted members as one `keras.Model`, scaled and averaged inside."""
        import keras
        from keras import ops

        from fewshot.learners.inputs import named

        inputs, total = keras.Input(shape, name="pixels"), 0.0
        for number, member in enumerate(self._fitted_members):
            shares = named(member.keras_model(shape), f"member_{number}")(inputs)
            logs = self.factors[number] * ops.log(ops.maximum(shares, SMALLEST))
            total += self._shares[number] * (logs if self.average == "log" else ops.softmax(logs))
        return keras.Model(inputs, ops.softmax(total) if self.average == "log" else total, name="fewshot")


def checked_weights(weights: Sequence[float], members: int) -> tuple[float, ...]:
    """Return weights with a sum of 1, none where all are equal; `UsageError` where they cannot be meant."""
    numbers = np.array(weights, dtype=float)
    if not numbers.size:
        return ()
    if len(numbers) != members:
        raise UsageError(
            f"every member of an ensemble has a weight, or none has. Received: {len(numbers)} for {members}"
        )
    if not (np.isfinite(numbers) & (numbers > 0)).all():
        raise UsageError(f"weights of an ensemble are above 0. Received: {_listed(numbers)}")
    if abs(numbers.sum() - 1) > SUM + 1e-9:
        raise UsageError(
            f"weights of an ensemble sum to 1. Received: {_listed(numbers)}, {numbers.sum():g} in all"
        )
    if np.ptp(numbers) == 0:
        return ()
    return tuple((numbers / numbers.sum()).round(12).tolist())


def scale_of(held_out: np.ndarray, train: Dataset) -> float:
    """Return by what factor log probabilities are worth more than they say, or less where it is below 1.

    held_out: (n, classes), of the training images; NaN for those that nothing held out.
    """
    from scipy.special import softmax

    tested = ~np.isnan(held_out).any(1)
    present = np.unique(train.y)
    if not tested.any() or len(present) < 2:
        return 1.0
    logs = np.log(np.maximum(held_out[tested][:, present], SMALLEST))
    logs -= logs.mean(1, keepdims=True)
    unit = float(np.sqrt(np.square(logs).mean()))
    if unit == 0:  # all images alike
        return 1.0
    # Of one size first: temperatures are looked for in a range, and those of ridge regression may lie beyond.
    labels, weights = np.searchsorted(present, train.y[tested]), train.weights[tested]
    return 1 / (
        unit * fit_temperature(softmax(logs / unit, 1), labels, weights * tested.sum() / weights.sum())
    )


def _listed(numbers: np.ndarray) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
