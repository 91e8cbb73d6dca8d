"""Keras networks as learners: on pixels or on backbones' features, alone or as an ensemble."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewshot import backend
from fewshot.augment import online
from fewshot.augment.offline import Examples, check, expand
from fewshot.backbones.features import PIXELS, describe, extract
from fewshot.data.dataset import Dataset
from fewshot.data.protocols import Task
from fewshot.errors import DivergedError, UsageError
from fewshot.learners.contract import Fit, LooksAt
from fewshot.learners.inputs import averaged_model, check_copies, prepare_features, seen, views
from fewshot.learners.network import NetworkLearner
from fewshot.models import check_size, networks
from fewshot.seeding import stream_seed
from fewshot.settings import split
from fewshot.training.optimizers import optimizers

if TYPE_CHECKING:
    import keras

    from fewshot.training.engine import Engine

ENGINE_VERSION = 1  # raise it when the engine's results change
TOGETHER = 96  # filters: the widest network of which many seeds at once were measured to gain, on an H100
USUAL = 256  # pixels of a side up to which networks as they come fit into any memory


@dataclass
class KerasLearner(NetworkLearner):
    """A registered network, trained by a recipe on the task's images and what offline augmentation adds.

    offline: an expression of `fewshot.augment.grammar`, such as "flip+rotation".
    features: what the network sees: "pixels", or backbones' features (`fewshot.backbones.features`).
    """

    network: str = "baseline"
    features: str = PIXELS

    starts_from_weights = True

    @property
    def looks_at(self) -> LooksAt:  # type: ignore[override]  # a constant of other kinds
        """Large images where a backbone looks at them, frozen or trained on."""
        backbone = self.features != PIXELS or "pretrained" in networks[split(self.network)[0]].traits
        return "large" if backbone else "small"

    @property
    def trains_together(self) -> bool:  # type: ignore[override]  # a constant of other kinds
        """Whether seeds can be trained together: one network each."""
        return self.recipe.ensemble_size == 1

    def fit(
        self,
        train: Dataset,
        seed: int,
        watch: Dataset | None = None,
        checkpoint: Path | None = None,
        start: list[list[np.ndarray]] | None = None,
        last: int = 0,
        head: Sequence[np.ndarray] | None = None,
    ) -> KerasLearner:
        """Train from new weights, or resume from a checkpoint. Needs `fewshot.backend.start` before.

        start: the weights of every layer but the last to begin with; head: those of the last, kernel and
        bias. last: so many of the last layers with weights are trained, 0 all. The curve is the mean of the
        networks', each of which has a checkpoint of its own.
        """
        recipe = self.recipe
        with backend.setting_up():
            examples = self._examples(train, seed)
        if self.features != PIXELS:
            watch = watch and replace(watch, x=extract(self.features, watch.x))
        self._compile_for(examples.x.shape[1:], len(train.classes), last)
        engine = self._engine
        self._members, curves, before = [], [], 0.0
        for member in range(recipe.ensemble_size):
            member_seed = stream_seed(seed, f"member {member}") if member else seed
            member_checkpoint = checkpoint and checkpoint.with_name(f"{checkpoint.name}-{member}.npz")
            curve = engine.fit(examples, recipe, member_seed, watch, member_checkpoint, start, head)
            curves.append(asdict(curve))
            before += engine.seconds_before
            self._members.append(engine.weights())
        self.fitted = self._fitted(len(examples), curves, before)
        return self

    def gains_together(self, shape: tuple[int, int, int], outputs: int) -> bool:
        """Return whether the network is narrow: its seeds at once become convolutions of many groups.

        Those are slow where they are wide, and a wide network fills a GPU by itself.
        """
        if not self.trains_together or self.features != PIXELS:
            return self.trains_together
        from fewshot.models.cost import outline, widest

        return widest(outline(self.network, shape, outputs)) <= TOGETHER

    def fit_together(
        self, trains: Sequence[Dataset], seeds: Sequence[int]
    ) -> list[KerasLearner | DivergedError]:
        """Train once for each seed, on its own images, in one compiled call; on JAX, no ensembles.

        Returns a fitted learner for each, or the error with which its training broke down.
        """
        from fewshot.training import together

        examples = [self._examples(train, seed) for train, seed in zip(trains, seeds, strict=True)]
        self._compile_for(examples[0].x.shape[1:], len(trains[0].classes))
        engine = self._engine
        outcomes: list[KerasLearner | DivergedError] = []
        for outcome in together.fit(engine, examples, self.recipe, seeds):
            if isinstance(outcome, DivergedError):
                outcomes.append(outcome)
                continue
            curve, weights = outcome
            fitted = copy.copy(self)
            fitted._members = [weights]
            fitted.fitted = fitted._fitted(len(examples[0]), [asdict(curve)], 0.0)
            outcomes.append(fitted)
        return outcomes

    def _examples(self, train: Dataset, seed: int) -> Examples:
        """Return what the network is trained on."""
        examples = expand(train, self.offline, seed, self.recipe.epochs)
        if self.features == PIXELS:
            return examples
        return replace(examples, x=extract(self.features, examples.x))

    def _fitted(self, n: int, curves: list[dict], before: float) -> Fit:
        recipe = self.recipe
        return Fit(
            n_train=n,
            updates=recipe.ensemble_size * recipe.steps(n),
            images_seen=recipe.ensemble_size * recipe.images_seen(n),
            parameters=recipe.ensemble_size * self._engine.parameters,
            curve=_mean(curves),
            seconds_before=before,
        )

    def _compile_for(self, shape: tuple, outputs: int, last: int = 0) -> None:
        """Note what `_engine` is compiled for; `NoRoom` where no memory holds its training."""
        from fewshot.models.cost import check_room

        # As they come, networks fit, and heads on features do.
        if len(shape) == 3 and (":" in self.network or shape[0] * shape[1] > USUAL**2):
            check_room(self.network, shape, outputs, self.recipe.batch)
        self._compiled_for = (shape, outputs, last)

    @property
    def _engine(self) -> Engine:
        """Return what trains and predicts: compiled once a process, and so no part of what is pickled."""
        from fewshot.training.engine import compiled

        return compiled(self.network, self.recipe, *self._compiled_for)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict with the weights that `fit` found (other fits may have used the engine since)."""
        flip, shift = self.recipe.tta_flip, self.recipe.tta_shift
        inputs = [x] if shift else [seen(self.features, view) for view in views(x, flip)]
        probabilities, engine = [], self._engine
        for weights in self._members:
            engine.load(weights)
            probabilities += [engine.predict(view, shift, flip and shift > 0) for view in inputs]
        return np.mean(probabilities, 0)

    def members(self) -> list:
        """Return the trained networks, `keras.Model`s from what they see to logits: one a member."""
        engine = self._engine
        return [engine.network_with(weights) for weights in self._members]

    def keras_model(self, shape: tuple[int, int, int]) -> keras.Model:
        """Return the trained networks as one `keras.Model`, ensemble and mirror images averaged inside."""
        flip, shift = self.recipe.tta_flip, self.recipe.tta_shift
        return averaged_model(self.members(), shape, self.features, flip, shift)

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for images too small for the network, or that the augmentation cannot take."""
        check(self.offline, shape)
        if self.features == PIXELS:
            check_size(self.network, shape)
            if self.recipe.tta_shift >= min(shape[:2]):
                raise UsageError(
                    f"tta_shift={self.recipe.tta_shift} moves images of {shape[0]}×{shape[1]} out of sight: "
                    f"it is below {min(shape[:2])}"
                )
            return
        check_copies(self.offline)
        if not networks.trait(self.network, "rows"):
            raise UsageError(f"the network '{self.network}' takes images, not features: use linear or hidden")
        if self.recipe.tta_shift:
            raise UsageError("tta_shift is for networks on pixels: features are of the images as they are")
        if self.recipe.online != "none":
            raise UsageError(
                f"online augmentation ('{self.recipe.online}') draws images anew, and features are computed "
                "once: use offline augmentation (offline=flip), or train the backbone"
            )

    def shared(self) -> tuple:
        """Return the features and of which images they are; nothing for pixels."""
        return () if self.features == PIXELS else (self.features, self.offline, self.recipe.tta_flip)

    def prepare(self, task: Task) -> None:
        """Compute the features of a task, for this and every other learner."""
        if self.features != PIXELS:
            flip = self.recipe.tta_flip
            prepare_features(task, self.features, self.offline, flip, self.recipe.epochs)

    def describe(self) -> dict:
        """Return the settings, the versions of what they name, and the libraries that compute."""
        described = self._described(networks, optimizers, ENGINE_VERSION, "keras", backend.name(), "numpy")
        described["features"] = describe(self.features)
        described["versions"]["online"] = online.versions(self.recipe.online)
        pretrained = networks.trait(self.network, "pretrained")
        return described | ({"pretrained": pretrained} if pretrained else {})

    def pretrained(self) -> tuple[str, ...]:
        """Return the backbones that the network sees through, or is."""
        trained_on = networks.trait(self.network, "features")
        return tuple(text for text in (self.features, trained_on) if text and text != PIXELS)

    def workload(self, n: int) -> str:
        """Return in words what training on `n` images takes."""
        examples = self.examples(n)
        return f"{examples:9,} images {self.recipe.ensemble_size * self.recipe.steps(examples):9,} updates"


def _mean(curves: list[dict[str, list]]) -> dict[str, list]:
    """Return the mean of equally long curves, without the parts that were not measured."""
    measured = {name: [curve[name] for curve in curves] for name in curves[0] if curves[0][name]}
    means = {name: np.mean(points, 0).tolist() for name, points in measured.items()}
    return means | {"update": curves[0]["update"]}
