"""`export` and `load_model`: a trained method as one file, and its answers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fewshot import backend
from fewshot.api.data import Source, loaded
from fewshot.api.results import Results
from fewshot.api.run import Method, recipe_fields, resolve_all
from fewshot.arguments import whole_number
from fewshot.data import Prepared
from fewshot.data.catalogue import open_whole
from fewshot.data.dataset import Dataset, Prior, check_prior
from fewshot.data.kinds import why_unreadable
from fewshot.data.photo import square
from fewshot.data.walk import images_below
from fewshot.errors import FewshotError, UsageError, field, unknown
from fewshot.machine import cores
from fewshot.report.page.markup import tag
from fewshot.report.typed import number
from fewshot.trials.predictions import temperature
from fewshot.trials.store import Store

if TYPE_CHECKING:
    from fewshot.deploy.saved import Saved

Images: TypeAlias = "np.ndarray | str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"


@dataclass(frozen=True, repr=False)
class Model:
    """A saved model: `model.predict("photo.jpg")`. Made by `fewshot.load_model` and `fewshot.export`."""

    path: Path
    saved: Saved

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the probabilities."""
        return tuple(self.saved.classes)

    @property
    def card(self) -> dict[str, Any]:
        """What is known of the model: its method, its images, what accuracy to expect, file by file."""
        return self.saved.card

    def predict(self, images: Images) -> np.ndarray:
        """Return calibrated probabilities, float32 (N, classes): `model.classes[p.argmax()]` is the answer.

        images: uint8 (N, height, width, 3), or one image; a file, a folder, or a list of files. They are
        cut to squares of the model's size, as for training, unless it takes photos of any size.

        Raises `UsageError` for what are no images, `FewshotError` where a file cannot be read.
        """
        if isinstance(images, np.ndarray):
            return self._of_arrays(images)
        return self._of_files(_files(images))

    def _of_arrays(self, images: np.ndarray) -> np.ndarray:
        from PIL import Image

        batch = images[None] if images.ndim == 3 else images
        if batch.ndim != 4 or batch.shape[-1] != 3 or batch.dtype != np.uint8:
            raise UsageError(
                f"images are uint8, (N, height, width, 3), 0 to 255. Received: {images.dtype} {images.shape}"
            )
        size, at_once = self.saved.image_size, 32
        if size is None:
            at_once = 1  # the model makes several views of each
        elif batch.shape[1:3] != (size, size):
            batch = np.stack([square(Image.fromarray(image), size) for image in batch])
        starts = range(0, len(batch), at_once)
        parts = [self.saved.predict(batch[start : start + at_once]) for start in starts]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)), np.float32)

    def _of_files(self, files: list[Path]) -> np.ndarray:
        rows = []
        for file, answer in self.saved.stream(files):
            if isinstance(answer, Exception):
                raise FewshotError(f"cannot read {file}: {why_unreadable(file, answer)}") from answer
            rows.append(answer.probabilities)
        return np.stack(rows)

    def __repr__(self) -> str:
        return f"{self.path}: " + "; ".join(f"{name}: {text}" for name, text in self._facts().items())

    def _repr_html_(self) -> str:
        rows = [tag("tr", tag("th", name), tag("td", text)) for name, text in self._facts().items()]
        return tag("table", tag("caption", str(self.path)), tag("tbody", *rows))

    def _facts(self) -> dict[str, str]:
        """Return what the card says, in words."""
        card, size = self.card, self.saved.image_size
        facts = {
            "method": str(card.get("method", "unknown")),
            "classes": ", ".join(self.classes),
            "input": f"{size}×{size} pixels, 0–255" if size else "photos of any size, pixels 0–255",
        }
        if images := card.get("images"):
            facts["trained on"] = f"{sum(images):,} images"
        if card.get("prior") == "natural":
            facts["classes count"] = "as often as they came in training"
        expected = card.get("expected")
        if isinstance(expected, Mapping) and (told := _told(expected)):
            facts["expected accuracy"] = told
        recalls = [_told(recall) for recall in card.get("recall") or [] if recall]
        if all(recalls) and len(recalls) == len(self.classes):
            facts["of each class"] = ", ".join(
                f"{name} {recall}" for name, recall in zip(self.classes, recalls, strict=True)
            )
        return facts


def _told(estimate: Mapping[str, Any]) -> str:
    """Return an accuracy of a card, with its interval; as `fs.run` or as `compare` found it.

    Nothing where there is none, or what is no number: anybody may have written the card.
    """
    bounds = estimate.get("ci95", estimate.get("interval"))
    try:
        value = number(estimate.get("mean", estimate.get("value")))
        low, high = map(number, bounds or (0, 0))
    except (TypeError, ValueError):
        return ""
    return f"{value:.1f} %" + (f" [{low:.1f}, {high:.1f}]" if bounds else "")


def load_model(path: str | os.PathLike[str], *, threads: int | None = None, device: str = "auto") -> Model:
    """Return a saved model (`NAME.keras`, with its card `NAME.json` beside it).

    threads, device: to compute with, where this process has not computed yet (default: all cores).

    Raises `UsageError` where the file or its card is missing, or is no model of this project.
    """
    path = Path(path).expanduser()
    if not path.is_file():  # known before TensorFlow is imported
        raise UsageError(f"no such model: {path}")
    start(threads, device)
    from fewshot.deploy import saved

    return Model(path, saved.load(path))


def export(
    method: Method,
    data: Source,
    path: str | os.PathLike[str],
    formats: Sequence[str] = ("keras",),
    *,
    seed: int = 0,
    training: Mapping[str, object] | None = None,
    epochs: int | None = None,
    updates: int | None = None,
    image_size: int | None = None,
    results: Results | None = None,
    card: Mapping[str, object] | None = None,
    prior: Prior | None = None,
    threads: int | None = None,
    device: str = "auto",
) -> Model:
    """Train a method on all images, save it as one file, `NAME.keras`, and return it.

    Parameters
    ----------
    method, data, training, epochs, updates
        As in `fs.run`. Of data with fixed classes, their images alone
        are taken.
    path
        Where to save; the card, `NAME.json`, and other formats go beside it.
    formats
        "keras" is always written; "saved_model", "tflite" and "onnx" are further ones.
    seed
        Of weights, shuffling and augmentation.
    results
        What `fs.run` found of the method on tasks of all these classes: its held-out predictions
        calibrate the model, and the card says what accuracy to expect.
    card
        What the card shall say besides.
    prior
        What classes with unequal numbers of images count in training: "alike", or "natural", as often as
        they come (default: as `fs.load` has it for these data).
    threads, device
        As in `fs.load_model`.

    Raises
    ------
    UsageError
        For a method that no single network can stand for, a path or format that is none.
    """
    path = Path(path).expanduser()
    learners = resolve_all(method, recipe_fields(training, epochs, updates))
    if len(learners) > 1:
        raise UsageError(f"one method is exported at a time. Received: {', '.join(learners)}")
    name, learner = next(iter(learners.items()))
    learner.check_export()
    if prior is not None:
        check_prior(prior)
    data = loaded(data, image_size)
    start(threads, device)
    from fewshot.deploy.export import export as save

    prepared = data.images([learner]).of(learner)
    labels = [prepared.classes.index(name) for name in data.draws.classes]
    images, photos = open_whole(prepared, labels)
    known: dict[str, object] = {"method": name, "data": prepared.name, "fingerprint": prepared.fingerprint}
    known["levels"] = prepared.levels
    if results is not None:
        known |= _expected(results, name, prepared, images)
    seed = whole_number("seed", seed, least=0)
    images = replace(images, prior=prior or data.protocol.prior)
    save(learner, images, seed, path, {**known, **(card or {})}, formats, photos)
    return load_model(path)


def _expected(results: Results, method: str, data: Prepared, images: Dataset) -> dict[str, object]:
    """Return what a card says of the method's trials: the accuracy to expect, and the temperature."""
    if method not in results.records:
        raise unknown("method of the results", method, results.records)
    records, classes = results.records[method], len(np.unique(images.y))
    ways = {len(record.classes) for record in records}
    if ways != {classes}:
        raise UsageError(
            f"the {field('results')} are of tasks with {min(ways)} classes, the model has {classes}: "
            "run on tasks of all its classes, or name them with fs.load(…, classes=[…])"
        )
    if any(record.protocol.get("content", data.fingerprint) != data.fingerprint for record in records):
        raise UsageError(
            f"the {field('results')} are of other images than those that the model is trained on"
        )
    if any(record.protocol.get("prior", images.prior) != images.prior for record in records):
        raise UsageError(
            f"in the {field('results')} classes count in another way than {field('prior', images.prior)}"
        )
    row = next(row for row in results.summary() if row.method == method)
    return {
        "expected": {"n": row.n, "mean": row.mean, "std": row.std, "ci95": row.ci95},
        "temperature": temperature(Store(results.folder), row.records),
    }


def start(threads: int | None, device: str) -> None:
    """Choose threads and device, where this process has not computed yet."""
    if threads is not None:
        whole_number("threads", threads)
    backend.ensure(threads or cores(), backend.resolve_device(device))


def _files(images: object) -> list[Path]:
    """Return the files that are meant; `UsageError` where there are none."""
    paths = [images] if isinstance(images, str | os.PathLike) else images
    if not isinstance(paths, list | tuple) or not all(isinstance(p, str | os.PathLike) for p in paths):
        raise UsageError(
            f"images are an array, a file, a folder, or a list of files. Received: {type(images).__name__}"
        )
    files: list[Path] = []
    for path in (Path(path).expanduser() for path in paths):
        if not path.exists():
            raise UsageError(f"no such image: {path}")
        files += images_below(path) if path.is_dir() else [path]
    if not files:
        raise UsageError(f"no images in {', '.join(map(str, paths)) or 'an empty list'}")
    return files
