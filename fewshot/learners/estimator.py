"""scikit-learn's estimators as learners: the same tasks and records, on pixels or features."""

from __future__ import annotations

import copy
import functools
import pickle
import sys
import types
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot import backend, baselines, settings
from fewshot.augment.offline import check, expand, size, versions
from fewshot.backbones.features import PIXELS, describe, extract
from fewshot.baselines import estimators
from fewshot.baselines.dense import as_dense
from fewshot.data.dataset import Dataset
from fewshot.data.protocols import Task
from fewshot.errors import UsageError
from fewshot.identity import blamed, is_users, source_digest
from fewshot.learners.contract import Fit, Learner, LooksAt
from fewshot.learners.held_out import SMALLEST, by_folds
from fewshot.learners.inputs import averaged_model, check_copies, folded, prepare_features, views
from fewshot.wording import one_line

if TYPE_CHECKING:
    import keras

CORRECTED = 2000  # images at most that are fitted to six times, where classes are unequal


@dataclass
class EstimatorLearner(Learner):
    """A registered scikit-learn estimator on the pixels or the features of the task's images.

    offline, features: as in `KerasLearner`. tta_flip: predictions are averaged over each image and its
    mirror image.
    """

    estimator: str
    offline: str = "none"
    features: str = PIXELS
    tta_flip: bool = False

    weighs = True

    @property
    def looks_at(self) -> LooksAt:  # type: ignore[override]  # a constant of other kinds
        """Large images where a backbone looks at them."""
        return "small" if self.features == PIXELS else "large"

    @property
    def uses_backend(self) -> bool:  # type: ignore[override]  # a constant of other kinds
        """Whether a backbone looks at the images, or the estimator names Keras among its libraries."""
        return self.features != PIXELS or "keras" in (estimators.trait(self.estimator, "libraries") or ())

    def fit(
        self, train: Dataset, seed: int, watch: Dataset | None = None, checkpoint: Path | None = None
    ) -> EstimatorLearner:
        """Fit a new estimator.

        Unequal classes count by sample weights, or by repeated images where the estimator knows no weights.
        """
        self._classes = len(train.classes)
        self._estimator, shape = self._fitted_to(train, seed)
        self._factor, self._shift = self._correction(train, seed)
        self._width = shape[1]
        self.fitted = Fit.in_one_step(shape[0])
        return self

    def _fitted_to(self, train: Dataset, seed: int) -> tuple[Any, tuple[int, int]]:
        """Return a new estimator, fitted to images, and the shape of the rows that it saw."""
        estimator = self._new_estimator(seed)
        weighted = baselines.weights_parameter(estimator)
        train = train if weighted else train.repeated(seed)
        examples = expand(train, self.offline, seed)
        rows, labels = _rows(self.features, examples.x), examples.targets.argmax(1)
        weights = {}
        if weighted and (train.uneven or train.prior == "natural"):
            weights[weighted] = np.tile(train.weights, len(rows) // len(train))
        # scikit-learn looks at its parameters as it begins to fit
        with blamed(f"the estimator '{self._name}' does not fit", type(estimator), (ValueError, TypeError)):
            fitted = estimator.fit(rows, labels, **weights)
        if not hasattr(fitted, "classes_"):
            raise UsageError(
                f"the estimator '{self._name}' is no classifier: fitted, it has no classes_. "
                f"Received: {type(estimator).__name__}"
            )
        return fitted, rows.shape

    def _correction(self, train: Dataset, seed: int) -> tuple[float, np.ndarray]:
        """Return by what log probabilities of unequal classes are put right, as photos held out show it.

        Weights alone are not enough (`fewshot.baselines.heads`). Nothing where classes are equal, or too few
        photos of one can be held out.
        """
        from fewshot.baselines.heads.unequal import correction, doubtful

        nothing = 1.0, np.zeros(len(train.classes))
        present, y = np.unique(train.y, return_inverse=True)
        counts = np.bincount(y)
        if len(set(counts.tolist())) == 1 or len(train) > CORRECTED:
            return nothing
        held_out = self._by_folds(train, seed, nothing)
        if held_out is None:
            return nothing
        tested = ~np.isnan(held_out).any(1)
        if len(np.unique(y[tested])) < len(present):
            return nothing
        logs = np.log(np.maximum(held_out[tested][:, present], SMALLEST))
        weights = train.weights[tested]
        targets = doubtful(y[tested], len(present), counts.min())
        factor, shifts = correction(logs, targets, weights / weights.sum())
        shift = nothing[1]
        shift[present] = shifts
        return factor, shift

    def held_out(self, train: Dataset, seed: int) -> np.ndarray | None:
        """Return probabilities of images left out: of ridge regression in closed form, else by short fits."""
        if len(train) > CORRECTED:
            return None
        left_out = self._left_out(train, seed)
        correction = self._factor, self._shift
        return self._by_folds(train, seed, correction) if left_out is None else left_out

    def _by_folds(self, train: Dataset, seed: int, correction: tuple[float, np.ndarray]) -> np.ndarray | None:
        """Return probabilities (n, classes) of images by estimators that were fitted to the other folds."""

        def fitted(images: Dataset) -> EstimatorLearner:
            part = copy.copy(self)
            part._estimator, _ = self._fitted_to(images, seed)
            part._factor, part._shift = correction
            return part

        try:
            return by_folds(train, seed, fitted)
        except UsageError:  # some cannot do with fewer images
            return None

    def _left_out(self, train: Dataset, seed: int) -> np.ndarray | None:
        """Return probabilities (n, classes) of each image by all others under ridge regression; else None.

        What comes before the regression is not fitted anew: scales and filters, which know no classes.
        """
        from scipy.special import softmax
        from sklearn.linear_model import RidgeClassifier

        from fewshot.baselines.heads.ridge import ridge_held_out
        from fewshot.baselines.heads.rotated import Rotated

        steps = getattr(self._estimator, "steps", [("", self._estimator)])
        if type(steps[-1][1]) is not RidgeClassifier or np.ndim(steps[-1][1].alpha):
            return None
        examples = expand(train, self.offline, seed)
        rows = _rows(self.features, examples.x)
        for _, step in steps[:-1]:
            rows = step.transform(rows)
        copies = len(rows) // len(train)
        present, y = np.unique(train.y, return_inverse=True)
        parts = y, train.scenes, train.scenes, train.weights
        rotated = Rotated(rows, *(np.tile(part, copies) for part in parts))
        scores = ridge_held_out(rotated, steps[-1][1].alpha)[: len(train)]
        held_out = np.zeros((len(train), self._classes))
        held_out[:, present] = softmax(scores, 1)
        return self._corrected(held_out)

    def _new_estimator(self, seed: int) -> Any:
        return baselines.build(self.estimator, seed)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities, (N, classes)."""
        seen = [_rows(self.features, view) for view in views(x, self.tta_flip)]
        with blamed(f"the estimator '{self._name}' does not predict", type(self._estimator)):
            said = [baselines.probabilities(self._estimator, rows, self._classes) for rows in seen]
        return np.mean([self._corrected(shares) for shares in said], 0)

    def _corrected(self, shares: np.ndarray) -> np.ndarray:
        """Return probabilities, (N, classes), as photos held out have shown that they are meant."""
        if self._factor == 1.0 and not self._shift.any():
            return shares
        from scipy.special import softmax

        logs = self._factor * np.log(np.maximum(shares, SMALLEST)) + self._shift
        seen = np.isin(np.arange(self._classes), self._estimator.classes_)
        return np.asarray(softmax(np.where(seen, logs, -np.inf), 1))

    @property
    def _name(self) -> str:
        return self.estimator

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for images that offline augmentation or the estimator cannot take."""
        check(self.offline, shape)
        check_copies(self.offline)
        least = estimators.trait(self.estimator, "least_size")
        if least and self.features != PIXELS:
            raise UsageError(f"the estimator '{self.estimator}' takes images, not features")
        if least and (min(shape[:2]) < least or shape[0] != shape[1]):
            raise UsageError(
                f"the estimator '{self.estimator}' needs square images of {least}×{least} pixels or more. "
                f"Received: {shape[0]}×{shape[1]}"
            )

    def shared(self) -> tuple:
        """Return the features and of which images they are; nothing for pixels."""
        return () if self.features == PIXELS else (self.features, self.offline, self.tta_flip)

    def prepare(self, task: Task) -> None:
        """Compute the features of a task, for this and every other learner."""
        if self.features != PIXELS:
            prepare_features(task, *self.shared())

    def describe(self) -> dict:
        """Return the settings, the definition's version, and the libraries that compute."""
        more = estimators.trait(self.estimator, "libraries") or ()
        return {
            **asdict(self),
            "estimator": estimators.canonical(self.estimator),
            "features": describe(self.features),
            "versions": {
                "estimator": estimators.version(self.estimator),
                "offline": versions(self.offline),
            },
            "libraries": backend.versions("scikit-learn", "scipy", "numpy", "albumentations", *more),
        }

    def pretrained(self) -> tuple[str, ...]:
        """Return the backbones that the estimator sees through."""
        return () if self.features == PIXELS else (self.features,)

    def examples(self, n: int) -> int:
        """Return how many images the estimator is fitted to, of a task of `n`."""
        return size(self.offline, n)

    def workload(self, n: int) -> str:
        """Return in words what training on `n` images takes."""
        return f"{self.examples(n):9,} images, scikit-learn"

    def _dense_trait(self) -> Any:
        """Return how the fitted estimator says its weights; None for its `coef_` and `intercept_`."""
        return estimators[settings.split(self.estimator)[0]].traits.get("dense")

    def keras_model(self, shape: tuple[int, int, int]) -> keras.Model:
        """Return the fitted estimator as a `keras.Model` that ends in one dense layer.

        Raises `UsageError` for an estimator that is not linear.
        """
        import keras
        from keras import layers

        on_pixels = self.features == PIXELS
        inputs = x = keras.Input(shape if on_pixels else (self._width,))
        estimator, width = self._estimator, self._width
        if on_pixels:
            x = layers.Rescaling(1 / 255)(x)  # `fewshot.baselines.rows`
            first = baselines.first_step(estimator)
            if hasattr(first, "keras_features"):  # no weighted sums, but a part of a model all the same
                x, estimator = first.keras_features(x), estimator[1:]
                width = x.shape[1]
            else:
                x = layers.Flatten()(x)
        scale, kernel, bias = as_dense(estimator, width, self._dense_trait())
        scaler, kernel, _ = folded(scale, kernel, width, "scale")
        dense = layers.Dense(len(bias), name="linear")
        head = keras.Model(inputs, dense(scaler(x)), name="estimator")
        shift = self._shift[self._estimator.classes_]
        dense.set_weights([self._factor * kernel, self._factor * bias + shift.astype(np.float32)])
        return averaged_model([head], shape, self.features, self.tta_flip)


@dataclass
class GivenEstimatorLearner(EstimatorLearner):
    """A scikit-learn estimator as an object, fitted anew on every task: whatever has `fit` and `get_params`.

    It is identified by its class, its parameters, and the version of the package or the source it is from.
    """

    estimator: object  # type: ignore[assignment]  # itself, in place of its name

    uses_backend = True  # it may: a user's classifier computes with whatever it likes

    @property
    def _name(self) -> str:
        return type(self.estimator).__name__

    def _new_estimator(self, seed: int) -> Any:
        from sklearn.base import clone

        return baselines.seeded(clone(self.estimator), seed)

    def _dense_trait(self) -> Any:
        return None

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise `UsageError` for images that offline augmentation cannot take."""
        check(self.offline, shape)
        check_copies(self.offline)

    def describe(self) -> dict:
        """Return the class and its parameters, and the libraries that compute."""
        return {
            "estimator": identified(self.estimator),
            "offline": self.offline,
            "features": describe(self.features),
            "tta_flip": self.tta_flip,
            "versions": {"offline": versions(self.offline)},
            "libraries": backend.versions("scikit-learn", "scipy", "numpy", "albumentations"),
        }


def identified(value: object) -> object:
    """Return what identifies a parameter of an estimator, or the estimator itself, as JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "get_params") and not isinstance(value, type):
        parameters = {name: identified(given) for name, given in sorted(value.get_params(deep=False).items())}
        return {"class": _class_identity(type(value)), "parameters": parameters}
    if isinstance(value, list | tuple):
        return [identified(part) for part in value]
    if isinstance(value, type):
        return _class_identity(value)
    if isinstance(value, types.FunctionType):
        return f"{value.__qualname__} {source_digest(value)[:12]}"
    return f"{type(value).__qualname__} {_digest(value)}"


def _class_identity(kind: type) -> str:
    """Return a class's name with the version of its library; of a user's, the digest of its source."""
    package = kind.__module__.partition(".")[0]
    version = None if is_users(kind) else getattr(sys.modules.get(package), "__version__", None)
    origin = f"{package} {version}" if version else source_digest(kind)[:12]
    return f"{kind.__module__}.{kind.__qualname__} of {origin}"


def _digest(value: object) -> str:
    """Return a digest of an object as it is pickled, with a user's code in it by source: wherever it is."""
    try:
        return _source_hasher()(hash_name="md5").hash(value)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise UsageError(
            f"a parameter of an estimator cannot be identified: {type(value).__name__}: {one_line(error)}"
        ) from error


@functools.cache
def _source_hasher() -> type:
    """Return joblib's hasher, which knows a function or class by its name, but for a user's."""
    from joblib.hashing import NumpyHasher

    class SourceHasher(NumpyHasher):
        def save(self, obj: object) -> None:
            if isinstance(obj, types.FunctionType | type) and is_users(obj):
                obj = f"{obj.__qualname__} {source_digest(obj)}"
            super().save(obj)

    return SourceHasher


def _rows(features: str, x: np.ndarray) -> np.ndarray:
    """Return what an estimator sees of images."""
    return baselines.rows(x) if features == PIXELS else extract(features, x)
