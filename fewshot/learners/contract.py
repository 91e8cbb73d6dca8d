"""The contract: what everything that can be trained on a task and predict offers.

    @learners.register("mine")
    @dataclass
    class Mine(Learner):
        \"\"\"What it is, in a line: what lists of methods show.\"\"\"

        strength: float = 1.0

        def fit(self, train, seed, watch=None, checkpoint=None): ...

        def predict(self, x): ...

A registered learner is a method by its name, and its fields are the method's settings: `mine:strength=2`. A
wrapper has a field `base`, another learner, and is switched on by the setting of its name:
`ridge:synthetic=1000`. An ensemble has the fields `members` and `weights`: `mean(best, patches)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np

from fewshot.data.dataset import Dataset
from fewshot.data.protocols import Task
from fewshot.errors import DivergedError, UsageError
from fewshot.identity import origin_of, source_digest
from fewshot.registry import Registry
from fewshot.settings import Range, check, limits_of

if TYPE_CHECKING:
    import keras

LooksAt = Literal["small", "large", "views"]  # as `fewshot.trials.plan.Images` has them

learners = Registry("learner", namespace="method")
wrappers = Registry("wrapper")
ensembles = Registry("ensemble", namespace="method")


@dataclass(frozen=True)
class Fit:
    """What training took. `curve` maps "update", "loss", "accuracy", … to equally long lists.

    seconds_before: those of a training that was cut off, and was resumed here.
    """

    n_train: int
    updates: int
    images_seen: int
    parameters: int
    curve: dict[str, list]
    seconds_before: float = 0.0

    @classmethod
    def in_one_step(cls, n_train: int) -> Fit:
        """Return what a training without updates took: it has one end and no way, so no curve."""
        curve: dict[str, list] = {
            name: [] for name in ("update", "loss", "accuracy", "held_out_loss", "held_out_accuracy")
        }
        return cls(n_train, updates=0, images_seen=n_train, parameters=0, curve=curve)


class Learner:
    """The contract. A learner is a dataclass: its fields are its settings, `fit` stores what it learnt.

    `fit` and `predict` are required, and `fit` sets `fitted`; all else has a default.
    """

    fitted: Fit
    looks_at: LooksAt = "small"  # the rendition of a folder's photos; backbones look at larger ones
    trains_together: bool = False  # whether `fit_together` trains many seeds in one compiled call
    prepares_each_image: bool = False  # whether `prepare` does the same to an image in any company
    uses_backend: bool = True  # whether it computes with Keras, so that the backend has to start
    weighs: bool = False  # whether `fit` heeds `train.weights`; for others `train` repeats images instead
    starts_from_weights: bool = False  # whether `fit` takes `start`, `last`, `head`, as `KerasLearner` does

    def train(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> Self:
        """Fit, unequal classes counting as `train.prior` says: what trials and saved models are trained by.

        By weights where the learner heeds them, elsewhere images of smaller classes are repeated: linear
        estimators did equally well by either (docs/guides/protocols.md).
        """
        return self.fit(train if self.weighs else train.repeated(seed), seed, watch, checkpoint)

    def fit(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> Self:
        """Learn from `train` alone and return self; `watch` may be measured for curves, nothing else.

        checkpoint: a file to keep a long training in along the way, and to resume from; few learners do.
        Raises `DivergedError` where training breaks down.
        """
        raise NotImplementedError

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities, float (N, classes), of uint8 images (N, height, width, 3).

        One that looks at views gets them of a folder as (N, V, height, width, 3).
        """
        raise NotImplementedError

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for what cannot be trained on images of this shape; takes no time."""

    def shared(self) -> tuple:
        """Return what of the learner decides what `prepare` does; nothing for nothing."""
        return ()

    def prepare(self, task: Task) -> None:
        """Compute what several learners share on a task, and keep it on disk."""

    def features_of(self, x: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Return what `prepare` computes, where it does the same to an image in any company.

        Names of features, as `fewshot.backbones.features.extract` takes them, and of which images.
        """
        return []

    def feature_seconds(self, images: int) -> float:
        """Return the seconds on one core that `prepare` takes for so many images, roughly."""
        return 0.0

    def held_out(self, train: Dataset, seed: int) -> np.ndarray | None:
        """Return probabilities (n, classes) of the images that `fit` saw, as if it had not seen each.

        By the fitted learner, which stays as it is; NaN for images that cannot be left out. None where this
        takes as long as several fits, or where the probabilities are calibrated anyway.
        """
        return None

    def parts(self) -> tuple[Learner, ...]:
        """Return the learners inside that must all look at the same images: the members of an ensemble."""
        return ()

    def disagreement(self, other: Learner) -> UsageError:
        """Return the error for a part that looks at other renditions of photos than the whole."""
        return UsageError(
            "the members of an ensemble look at different renditions of a folder's photos "
            f"({other.looks_at} and {self.looks_at}): average methods that look at the same"
        )

    def describe(self) -> dict:
        """Return all that determines results beside task, seed and threads, as JSON: part of the key."""
        settings: dict[str, object] = asdict(self) if is_dataclass(self) else {}
        return settings | {"versions": {"learner": definition_version(type(self))}}

    def identity(self) -> dict:
        """Return the kind of learner and what it describes itself by: what records keep of it."""
        return {"kind": type(self).__name__, **self.describe()}

    def with_training(self, training: Mapping[str, object]) -> Self:
        """Return the learner with some fields of its recipe changed; itself where it has none."""
        return self

    def examples(self, n: int) -> int:
        """Return how many examples a pass over a task of `n` training images has."""
        return n

    def workload(self, n: int) -> str:
        """Return in words what training on `n` images takes."""
        return f"{self.examples(n):9,} images"

    def gains_together(self, shape: tuple[int, int, int], outputs: int) -> bool:
        """Return whether `fit_together` is quicker than one after the other, on images of this shape."""
        return self.trains_together

    def fit_together(self, trains: Sequence[Dataset], seeds: Sequence[int]) -> list[Self | DivergedError]:
        """Train once for each seed, on its own images, where `trains_together`.

        Returns a fitted learner for each, or the error with which its training broke down.
        """
        raise NotImplementedError

    def embedding(self, x: np.ndarray) -> np.ndarray | None:
        """Return features (N, D) by which unlike photos are told, once fitted; None where there are none.

        The layer "embedding" of `keras_model` returns the same.
        """
        return None

    def pretrained(self) -> tuple[str, ...]:
        """Return the pretrained backbones in it, as `fewshot.backbones.features.parse` takes them."""
        return ()

    def check_export(self) -> None:
        """Raise `UsageError` where no fitted learner of this kind becomes a Keras model; takes no time."""
        if type(self).keras_model is Learner.keras_model:
            raise UsageError(
                f"a {type(self).__name__} cannot be exported: only networks and linear estimators, on "
                "pixels or on features, become one Keras model"
            )

    def keras_model(self, shape: tuple[int, int, int]) -> keras.Model:
        """Return what `predict` does to images of `shape` as one `keras.Model`; the learner is fitted.

        It takes pixels (N, *shape) from 0 to 255, integers or floats, and returns probabilities
        (N, classes), float32. Raises `UsageError` where the learner is no network.
        """
        self.check_export()
        raise NotImplementedError


class Wrapper(Learner):
    """A learner that trains another, its field `base`, in a way of its own, and predicts as that one does."""

    base: Learner

    @property
    def fitted(self) -> Fit:  # type: ignore[override]  # what others store
        """What training the base took."""
        return self.base.fitted

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the base's probabilities, (N, classes)."""
        return self.base.predict(x)

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for what the base cannot be trained on."""
        self.base.check(shape)

    def shared(self) -> tuple:
        """Return what of the base decides what `prepare` does."""
        return self.base.shared()

    def prepare(self, task: Task) -> None:
        """Compute what the base shares with other learners."""
        self.base.prepare(task)

    def describe(self) -> dict:
        """Return the settings, and what the base is described by."""
        settings = {
            field.name: getattr(self, field.name) for field in fields(cast(Any, self)) if field.name != "base"
        }
        return {
            "base": self.base.identity(),
            **settings,
            "versions": {"learner": definition_version(type(self))},
        }

    def features_of(self, x: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Return which features the base computes, of which images."""
        return self.base.features_of(x)

    def feature_seconds(self, images: int) -> float:
        """Return the seconds that the base's features take."""
        return self.base.feature_seconds(images)

    @property
    def looks_at(self) -> LooksAt:  # type: ignore[override]  # a constant of other kinds
        """The rendition of a folder's photos that the base looks at."""
        return self.base.looks_at

    def with_training(self, training: Mapping[str, object]) -> Self:
        """Return the wrapper of the base with some fields of its recipe changed."""
        return cast(Self, replace(cast(Any, self), base=self.base.with_training(training)))

    def examples(self, n: int) -> int:
        """Return how many examples a pass of the base has."""
        return self.base.examples(n)

    def workload(self, n: int) -> str:
        """Return in words what training the base takes."""
        return self.base.workload(n)

    def pretrained(self) -> tuple[str, ...]:
        """Return the pretrained backbones in the base."""
        return self.base.pretrained()

    def check_export(self) -> None:
        """Raise `UsageError` where the base becomes no Keras model."""
        self.base.check_export()

    def keras_model(self, shape: tuple[int, int, int]) -> keras.Model:
        """Return the fitted base as one `keras.Model`."""
        return self.base.keras_model(shape)


def settings_of(kind: Callable[..., Any]) -> tuple[dict[str, object], dict[str, Range | tuple[str, ...]]]:
    """Return the settings of a learner's class with their defaults, and what those take whose type says it.

    Settings are the fields whose default is a number, a text, or yes or no.
    """
    defaults: dict[str, object] = {
        field.name: field.default
        for field in fields(cast(Any, kind))  # a dataclass, as every learner is
        if isinstance(field.default, bool | int | float | str)
    }
    limits = limits_of(kind)
    return defaults, {name: limits[name] for name in defaults if name in limits}


def check_settings(learner: Learner) -> None:
    """Raise `UsageError` for a field of a learner, or of those inside it, outside of what its type says.

    A name's settings are checked as they are parsed, by the same `fewshot.settings.check`.
    """
    kind = type(learner)
    limits = settings_of(kind)[1]
    check(kind.__name__, {name: getattr(learner, name) for name in limits}, limits)
    for field in fields(cast(Any, learner)):
        value = getattr(learner, field.name)
        for inner in value if isinstance(value, list | tuple) else (value,):
            if isinstance(inner, Learner) and is_dataclass(inner):  # a wrapper's base, an ensemble's member
                check_settings(inner)


def definition_version(kind: type) -> int | str:
    """Return the version that a class is registered with; of a user's that is not, a digest of its source."""
    for registry in (learners, wrappers, ensembles):
        for definition in map(registry.__getitem__, registry):
            # By name, too: a worker process gets a notebook's class by value.
            if definition.make is kind or (
                definition.make.__qualname__ == kind.__qualname__
                and definition.make.__module__ == kind.__module__
            ):
                return definition.version
    return 1 if origin_of(kind) is None else source_digest(kind)[:12]
