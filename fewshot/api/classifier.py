"""`FewShotClassifier`: any method as a scikit-learn classifier of images."""

from __future__ import annotations

import csv
import os
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from fewshot.api.model import start
from fewshot.api.run import Method, recipe_fields, resolve_all
from fewshot.arguments import whole_number
from fewshot.data.dataset import Dataset, Prior, check_prior
from fewshot.data.decoding import check_memory, decoded, levels_of, with_levels
from fewshot.data.depth import Levels
from fewshot.data.kinds import why_unreadable
from fewshot.data.photo import load_image, load_views
from fewshot.data.views import VIEWS
from fewshot.errors import FewshotError, UsageError, field
from fewshot.learners.contract import Learner
from fewshot.trials.plan import IMAGE_SIZE, large_size

if TYPE_CHECKING:
    from fewshot.api.model import Model

AUTO = "auto"

X: TypeAlias = "np.ndarray | Sequence[str | os.PathLike[str]]"


class FewShotClassifier(ClassifierMixin, BaseEstimator):
    """A method as a scikit-learn classifier: `FewShotClassifier("lite-ridge").fit(X, y)`.

    It works wherever scikit-learn takes a classifier: `cross_val_score`, `GridSearchCV` over methods,
    `Pipeline`, `clone`, `pickle`.

    Parameters
    ----------
    method
        A name (`fs.methods()` lists them), a function `(shape, outputs) -> keras.Model`, a scikit-learn
        classifier or a learner; or "auto": `fs.compare` finds the best strategy.
    training
        Fields of a network's recipe, such as {"learning_rate": 0.1}.
    epochs, updates
        How long a network is trained.
    prior
        What classes with unequal numbers of images count in training: "alike", or "natural", as often as they
        come.
    image_size
        Pixels to which photos from files are brought (default: 32, for backbones up to 224).
    budget
        The time that "auto" may take, such as "10m".
    out
        Where "auto" keeps its records, verdict and model.
    random_state
        The seed of weights, shuffling and augmentation, a whole number; "auto" has its own.
    threads, device
        To compute with, where this process has not computed yet (default: all cores).

    Attributes
    ----------
    classes_
        The labels, sorted: the columns of `predict_proba`.
    learner_
        The fitted learner; None with "auto".
    model_
        The model that `fs.compare` saved, with "auto"; None otherwise.
    n_features_in_
        The numbers in a row, where X is rows.

    Notes
    -----
    X is one of

    - images, (N, height, width, 3) or grey (N, height, width): uint8, or floats from 0 to 1;
    - paths of image files;
    - rows of pixels, (N, D), where D is 3·side² (as `images.reshape(N, -1)` gives them) or, in grey, side².
      Rows of another length are taken as images one pixel high. Values other than whole numbers from 0 to
      255 or floats from 0 to 1 are scaled by the range of the training rows.

    Images have 8 bits a colour, so floats are rounded to 256 levels. The images (of photos, their paths) are
    kept, as nearest neighbours keep theirs: `export` compares what it saves with what was trained.
    """

    def __init__(
        self,
        method: Method = "lite-heads",
        *,
        training: Mapping[str, object] | None = None,
        epochs: int | None = None,
        updates: int | None = None,
        prior: Prior = "alike",
        image_size: int | None = None,
        budget: float | str = "10m",
        out: str | Path = "results",
        random_state: int = 0,
        threads: int | None = None,
        device: str = "auto",
    ):
        self.method = method
        self.training = training
        self.epochs = epochs
        self.updates = updates
        self.prior = prior
        self.image_size = image_size
        self.budget = budget
        self.out = out
        self.random_state = random_state
        self.threads = threads
        self.device = device

    def fit(self, X: X, y: Sequence) -> FewShotClassifier:
        """Train on images and their labels, and return self.

        Raises
        ------
        ValueError
            For what are no images, labels that are not as many, or a single class.
        UsageError
            For an unknown method, and images that it cannot take.
        """
        labels = self._labels(X, y)
        seed = whole_number("random_state", self.random_state, least=0)
        check_prior(self.prior)
        self.learner_: Learner | None = None
        self.model_: Model | None = None
        if isinstance(self.method, str) and self.method == AUTO:
            self.model_ = self._compared(X, labels)
            return self
        learners = resolve_all(self.method, recipe_fields(self.training, self.epochs, self.updates))
        if len(learners) > 1:
            raise UsageError(f"a classifier has one method. Received: {', '.join(learners)}")
        ((self._name, learner),) = learners.items()
        self._size: int | None = None
        self._levels: Levels = {}
        self._range = _value_range(X) if _are_rows(X) else None
        images = self._images(X, learner, fits=True)
        train = Dataset(images, labels, tuple(map(str, self.classes_)), prior=self.prior)
        learner.check(train.image_shape)
        start(self.threads, self.device)
        self.learner_ = learner.train(train, seed)
        self._files = [Path(path).absolute() for path in X] if _are_paths(X) else []
        self._trained_on = replace(train, x=images[:0]) if self._files else train
        return self

    def predict_proba(self, X: X) -> np.ndarray:
        """Return probabilities, (N, classes): a column for each of `classes_`."""
        check_is_fitted(self, "classes_")
        if self.model_ is not None:
            answers = self.model_.predict(list(X) if _are_paths(X) else _uint8(np.asarray(X), self._range))
            return answers[:, [self.model_.classes.index(str(label)) for label in self.classes_]]
        assert self.learner_ is not None  # one of the two is there
        return np.asarray(self.learner_.predict(self._images(X, self.learner_)), np.float64)

    def predict(self, X: X) -> np.ndarray:
        """Return the most probable label of each image."""
        most_probable = self.predict_proba(X).argmax(1)
        return self.classes_[most_probable]

    def export(self, path: str | os.PathLike[str], formats: Sequence[str] = ("keras",)) -> Model:
        """Save the fitted classifier as one file, `NAME.keras`, with its card, and return it.

        It takes the pixels of images as the classifier was fitted to them, 0 to 255, or photos, and answers
        with `classes_` as texts.

        Parameters
        ----------
        path : where to save; the card, `NAME.json`, and other formats go beside it.
        formats : "keras" is always written; "saved_model", "tflite" and "onnx" are further ones.

        Raises
        ------
        UsageError
            For a method that no single network can stand for, a path or format that is none, and a
            classifier of rows that are no square images, or no pixels.
        """
        from fewshot.api.model import load_model

        check_is_fitted(self, "classes_")
        path = Path(path).expanduser()
        start(self.threads, self.device)
        from fewshot.deploy import export

        if self.model_ is not None:
            export.copied(self.model_.saved, path, formats)
            return load_model(path)
        assert self.learner_ is not None  # one of the two is there
        if self._range is not None:
            low, high = self._range
            raise UsageError(
                f"a model takes pixels, and these rows are none: give numbers from 0 to 255, or floats from "
                f"0 to 1. Received: {low:g} to {high:g}"
            )
        train = self._trained_on
        if self._files:
            train = replace(train, x=self._photos(self._files, self.learner_, fits=False))
        card = {"method": self._name, "seed": self.random_state, "levels": self._levels}
        export.save(self.learner_, train, path, card, formats, self._files)
        return load_model(path)

    def _labels(self, X: X, y: Sequence) -> np.ndarray:
        """Check labels against images, note the classes, and return the labels' positions in them."""
        if y is None:
            raise ValueError("FewShotClassifier requires y to be passed, but the target y is None")
        if _are_paths(X):
            y = check_array(y, ensure_2d=False, dtype=None)
            if len(y) != len(X):
                raise ValueError(f"{len(X)} photos need as many labels. Received: {len(y)}")
        else:
            X, y = validate_data(self, _indexable(X), y, dtype=None, allow_nd=True, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"two classes are the least. Received 1 class: {self.classes_[0]!r}")
        return labels.astype(np.int64)

    def _images(self, X: X, learner: Learner, fits: bool = False) -> np.ndarray:
        """Return uint8 images as the learner looks at them: (N, height, width, 3), or all views of photos."""
        if _are_paths(X):
            return self._photos([Path(path) for path in X], learner, fits)
        array = _indexable(X)
        if not fits:
            array = validate_data(self, array, dtype=None, allow_nd=True, reset=False)
        return _uint8(array, self._range)

    def _photos(self, files: Sequence[Path], learner: Learner, fits: bool) -> np.ndarray:
        if fits:
            for part in learner.parts():
                if part.looks_at != learner.looks_at:
                    raise learner.disagreement(part)
            self._levels = levels_of(files)
            self._size = self.image_size or (IMAGE_SIZE if learner.looks_at == "small" else large_size(files))
            whole_number("image_size", self._size)
        if self._size is None:
            raise ValueError("the classifier was fitted to arrays, not to photos: give it arrays")
        in_views = learner.looks_at == "views"
        check_memory(len(files), self._size, len(VIEWS) if in_views else 1, whole=True)
        read = with_levels(load_views if in_views else load_image, self._levels)
        images = []
        for file, image in zip(files, decoded(files, self._size, read), strict=True):
            if isinstance(image, Exception):
                raise FewshotError(f"cannot read {file}: {why_unreadable(file, image)}") from image
            images.append(image)
        return np.stack(images)

    def _compared(self, X: X, labels: np.ndarray) -> Model:
        """Return the model of the best strategy that `fs.compare` finds within the budget."""
        from fewshot.api.compare import compare

        for name in ("training", "epochs", "updates"):
            if getattr(self, name) is not None:
                raise UsageError(f"{field(name)} is for a method: '{AUTO}' trains several, each in its way")
        names = [str(label) for label in self.classes_]
        options: dict[str, Any] = {"threads": self.threads, "device": self.device, "out": self.out}
        options["prior"] = self.prior
        self._range = None
        if _are_paths(X):
            if missing := [str(path) for path in X if not Path(path).is_file()]:
                raise UsageError(f"no such photo: {missing[0]} ({len(missing)} of {len(X)} are not there)")
            if names != [unicodedata.normalize("NFC", name.strip()) for name in names]:
                raise UsageError("labels begin or end with no space, and are written in composed characters")
            with tempfile.TemporaryDirectory() as folder:
                table = Path(folder) / "photos.csv"
                with table.open("w", encoding="utf-8", newline="") as file:
                    rows = csv.writer(file)
                    rows.writerow(["path", "label"])
                    rows.writerows([Path(x).absolute(), names[y]] for x, y in zip(X, labels, strict=True))
                comparison = compare(
                    table, self.budget, image_size=self.image_size, progress=False, **options
                )
        else:
            self._range = _value_range(X) if _are_rows(X) else None
            images = _uint8(np.asarray(X), self._range)
            comparison = compare((images, labels, names), self.budget, progress=False, **options)
        if comparison.model is None:
            raise FewshotError(f"no strategy was found in this time: give more {field('budget')}")
        return comparison.model

    def __sklearn_tags__(self) -> Tags:
        """Say to scikit-learn what X may be."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


def _are_paths(X: object) -> bool:
    """Return whether X is a list, array or series of paths."""
    if isinstance(X, str | os.PathLike):
        raise ValueError(f"X is a list of photos. Received one: {X}")
    first = next(iter(X), None) if isinstance(X, list | tuple) else None
    if isinstance(first, str | os.PathLike):
        return True
    if getattr(X, "ndim", 0) != 1:
        return False
    array = np.asarray(X)
    return len(array) > 0 and isinstance(array[0], str | os.PathLike)


def _are_rows(X: object) -> bool:
    return not _are_paths(X) and np.asarray(X).ndim == 2


def _indexable(X: object) -> object:
    """Return a list of arrays as one array; anything else as it is."""
    return np.asarray(X) if isinstance(X, list | tuple) else X


def _value_range(X: object) -> tuple[float, float] | None:
    """Return the least and the greatest value of training rows that are no pixels as they stand."""
    rows = np.asarray(X)
    if rows.dtype == bool or rows.dtype.kind not in "iuf":
        rows = rows.astype(np.float64)
    low, high = float(rows.min()), float(rows.max())
    if low >= 0 and high <= (1 if rows.dtype.kind == "f" else 255):
        return None
    return low, high


def _uint8(X: object, value_range: tuple[float, float] | None) -> np.ndarray:
    """Return images or rows of pixels as uint8 images, (N, height, width, 3)."""
    array = np.asarray(X)
    if array.dtype != np.uint8:
        if array.ndim > 2 and array.dtype.kind in "iuf":
            _check_values(array)
        if array.dtype.kind in "iu" and value_range is None:
            array = array.clip(0, 255).astype(np.uint8)
        else:
            low, high = value_range or (0.0, 1.0)
            scaled = (array.astype(np.float64) - low) * (255 / ((high - low) or 1))
            array = np.rint(scaled.clip(0, 255)).astype(np.uint8)
    if array.ndim == 2:
        array = _squares(array)
    if array.ndim == 3:
        array = np.repeat(array[..., None], 3, axis=-1)
    if array.ndim != 4 or array.shape[-1] != 3:
        raise ValueError(
            f"X is images (N, height, width, 3), grey ones (N, height, width), rows of pixels, or paths. "
            f"Received: {array.shape}"
        )
    return array


def _check_values(images: np.ndarray) -> None:
    """Raise `ValueError` for images that would be cut off: floats of 0 to 255 would be white all over."""
    most = 1 if images.dtype.kind == "f" else 255
    low, high = float(images.min(initial=0)), float(images.max(initial=0))
    if low < 0 or high > most:
        raise ValueError(
            "images are whole numbers from 0 to 255, or floats from 0 to 1. "
            f"Received: {images.dtype} from {low:g} to {high:g}"
        )


def _squares(rows: np.ndarray) -> np.ndarray:
    """Return rows of pixels as square images; rows of another length as images one pixel high."""
    n, d = rows.shape
    side = round((d / 3) ** 0.5)
    if d == 3 * side**2:
        return rows.reshape(n, side, side, 3)
    side = round(d**0.5)
    return rows.reshape(n, side, side) if d == side**2 else rows[:, None, :]
