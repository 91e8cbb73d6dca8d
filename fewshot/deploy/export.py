"""A learner made ready for use: trained on all images that there are, saved as one file with a card.

    model.keras     from raw pixels to calibrated probabilities, preprocessing inside
    model.json      the card: classes, image size, what to expect of it, where it comes from
    model.saved_model/, model.tflite, model.onnx    the same for other programs, where asked for

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

import contextlib
import copy
import datetime
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewshot import __version__, backend
from fewshot.backbones import hub
from fewshot.backbones.features import Term, parse
from fewshot.data.dataset import Dataset, Splits
from fewshot.data.depth import Levels
from fewshot.data.photo import load_pixels
from fewshot.deploy import formats as converters
from fewshot.deploy import graph
from fewshot.deploy.saved import FORMAT, Saved, card_path, read
from fewshot.errors import FewshotError, UsageError
from fewshot.identity import blamed
from fewshot.io import progress
from fewshot.io.digests import sha256_of
from fewshot.learners.contract import Learner
from fewshot.models.cost import latencies
from fewshot.seeding import rng
from fewshot.stats import calibration
from fewshot.stats.conformal import Novelty
from fewshot.wording import one_line

if TYPE_CHECKING:
    import keras

KERAS = "keras"
LIBRARIES = ("keras", "numpy", "scikit-learn", "pillow")
CHECKED = 20  # images on which what was saved is compared with what was trained
TOLERANCE = 0.02  # of a probability: rounding to half precision may send a feature to the other side


def export(
    learner: Learner,
    train: Dataset,
    seed: int,
    path: str | os.PathLike,
    card: dict,
    formats: Sequence[str] = (KERAS,),
    photos: Sequence[Path] = (),
) -> dict:
    """Train `learner` on all of `train`, save it as `path` (`NAME.keras`) and return its card; see `save`.

    Classes without an image are left out of the model.
    """
    path, train = Path(path), train.compact()
    others = _check(learner, train, path, formats, photos)
    learner = copy.copy(learner)
    with blamed(f"the method '{card.get('method', type(learner).__name__)}' fails", type(learner)):
        learner.train(train, seed)
    return _write(learner, train, path, {**card, "seed": seed}, others, photos)


def save(
    learner: Learner,
    train: Dataset,
    path: str | os.PathLike,
    card: dict,
    formats: Sequence[str] = (KERAS,),
    photos: Sequence[Path] = (),
) -> dict:
    """Save a learner that is fitted to `train` as `path` (`NAME.keras`), and return its card.

    card: what the caller knows and the card shall say: "method", "protocol", "expected" (an accuracy with
    its interval), …; "sets", of `fewshot.stats.conformal.PredictionSets`; "temperature", of
    `fewshot.stats.calibration.fit_temperature`, is built into the model.
    formats: "keras" is always written; "saved_model", "tflite" and "onnx" go beside it.
    photos: the files of the images. Where these are views they are needed: the model takes the photos
    themselves. The card names those that tell unlike photos; no photo is copied.

    What is written is read back, the Keras file in safe mode, and compared on 20 images or photos: the
    card's "formats" say how far off each file is and how long it takes for an image, or which "error" kept
    one from being written. Earlier files are replaced at the end.

    Raises `UsageError` for a learner that no single network can stand for, images that are not square, a
    path or format that is none, or a package that a format misses; `FewshotError` where the files cannot
    be written, or the Keras file does not say what the learner says.
    """
    path = Path(path)
    return _write(learner, train, path, card, _check(learner, train, path, formats, photos), photos)


def _write(
    learner: Learner, train: Dataset, path: Path, card: dict, others: Sequence[str], photos: Sequence[Path]
) -> dict:
    """Write what `_check` has let pass. others: the formats beside Keras's."""
    temperature = float(card.get("temperature", 1.0))
    with _staged(path) as staged:
        progress.detail("building the network")
        graph.model(learner, train.image_shape, temperature).save(staged)
        progress.detail("reading it back")
        model = read(staged)
        progress.detail("comparing what it says")
        positions = np.linspace(0, len(train) - 1, CHECKED).astype(int)
        wanted = calibration.scaled(learner.predict(train.x[positions]), temperature)
        images = (
            train.x[positions]
            if train.x.ndim == 4
            else _photos(photos, positions, train.image_shape[0], card.get("levels"))
        )
        written = {KERAS: _compared(staged, backend.compile_forward(model), images, wanted)}
        written |= {name: _converted(name, model, staged, images, wanted) for name in others}
        progress.detail("its rule for unlike photos")
        embedding = learner.embedding(train.x)
        novelty = None if embedding is None else Novelty.fit(embedding, train.groups).to_json()
        full = {
            **card,
            "novelty": novelty,  # which photos are of none of these classes
            "references": None if novelty is None else _references(photos, train),
            "format": FORMAT,
            "model": path.name,
            "sha256": sha256_of(staged),
            "classes": list(train.classes),
            "image_size": model.input_shape[1],  # None: photos of any size
            "view_size": train.image_shape[0],
            "temperature": temperature,
            "images": np.bincount(train.y).tolist(),
            "prior": train.prior,
            "learner": learner.identity(),
            "backbones": [term.provenance() for term in _backbones(learner)],
            "data": Splits("", train).fingerprint(),
            "versions": {"fewshot": __version__, **backend.versions(*LIBRARIES, backend.name())},
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "formats": written,
        }
        _write_card(staged, full)
    return full


def copied(saved: Saved, path: str | os.PathLike, formats: Sequence[str] = (KERAS,)) -> dict:
    """Write a saved model under another name, its card with it, and return the card.

    formats: as for `save`; the files of formats beside Keras's are written anew, and compared with the model
    on 20 squares of noise.

    Raises `UsageError` and `FewshotError` as `save` does.
    """
    path = Path(path)
    others = _others(path, formats)
    with _staged(path) as staged:
        shutil.copyfile(saved.path, staged)
        size = saved.image_size or saved.card["view_size"]
        images = rng(0, "copied").integers(0, 256, (CHECKED, size, size, 3), dtype=np.uint8)
        wanted = saved.predict(images)
        written = {KERAS: {**saved.card["formats"][KERAS], "file": path.name}}
        written |= {name: _converted(name, saved.model, staged, list(images), wanted) for name in others}
        card = {**saved.card, "model": path.name, "formats": written}
        _write_card(staged, card)
    return card


def _others(path: Path, formats: Sequence[str]) -> list[str]:
    """Return the formats beside Keras's; `UsageError` for a path or a format that is none."""
    if path.suffix != ".keras":
        raise UsageError(f"a model is saved as NAME.keras. Received: {path}")
    others = [name for name in dict.fromkeys(formats) if name != KERAS]
    converters.check(others)
    return others


def _write_card(model: Path, card: dict) -> None:
    text = json.dumps(card, indent=1, ensure_ascii=False)
    card_path(model).write_text(f"{text}\n", encoding="utf-8")


def _check(
    learner: Learner, train: Dataset, path: Path, formats: Sequence[str], photos: Sequence[Path]
) -> list[str]:
    """Return the formats beside Keras's; `UsageError` for what cannot be exported, before training."""
    others = _others(path, formats)
    learner.check_export()
    for term in _backbones(learner):
        if hub.is_hub(term.backbone):
            hub.check_open(term.backbone)
    height, width, _ = train.image_shape
    if height != width:
        raise UsageError(f"a model for prediction takes square images. Received: {height}×{width}")
    if len(train.classes) < 2:
        raise UsageError("a model needs images of two classes or more")
    learner.check(train.image_shape)
    if train.x.ndim == 5 and len(photos) != len(train):
        raise ValueError(
            f"{len(train)} images in all their views come with as many files: {len(photos)} here"
        )
    return others


def _backbones(learner: Learner) -> list[Term]:
    return [term for text in learner.pretrained() for term in parse(text)]


def _references(photos: Sequence[Path], train: Dataset) -> dict | None:
    """Return files and classes of the photos that new ones are compared with; None without files."""
    if len(photos) != len(train):
        return None
    positions = Novelty.chosen(len(train))
    return {"files": [str(photos[i]) for i in positions], "labels": train.y[positions].tolist()}


def _photos(
    files: Sequence[Path], positions: np.ndarray, size: int, levels: Levels | None
) -> list[np.ndarray]:
    """Return the pixels of some photos, each in its own size, decoded as for training."""
    try:
        return [load_pixels(files[i], size, levels) for i in positions]
    except Exception as error:  # Pillow's readers raise OSError, SyntaxError, ValueError and others
        raise FewshotError(f"a photo cannot be read any more: {one_line(error)}") from error


def _converted(
    name: str, model: keras.Model, keras_file: Path, images: Sequence[np.ndarray], wanted: np.ndarray
) -> dict:
    """Write the model in another format beside its Keras file, and return what the card says of it."""
    path = keras_file.with_suffix(f".{name}")
    try:
        return _compared(path, converters.write(name, model, path), images, wanted)
    except FewshotError as error:
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
        return {"error": str(error)}


def _compared(path: Path, forward: Callable, images: Sequence[np.ndarray], wanted: np.ndarray) -> dict:
    """Return what the card says of a file; milliseconds for one image, the median of a few calls."""
    answers = np.concatenate([forward(image[None].astype(np.float32)) for image in images])
    largest = float(np.abs(answers - wanted).max())
    if not largest <= TOLERANCE:  # nor is it a number, perhaps
        raise FewshotError(f"{path.name} differs from the learner by up to {largest:.2g}: it is not kept")
    seconds = np.median(latencies(forward, images[0].shape, few=True))
    return {"file": path.name, "max_difference": largest, "latency_ms": round(1e3 * float(seconds), 3)}


@contextlib.contextmanager
def _staged(path: Path) -> Iterator[Path]:
    """Yield where to write `path` and what goes beside it; in the end all take their places, the card last.

    If the block fails, nothing has changed.
    """
    folder = path.parent / f".{secrets.token_hex(16)}"
    try:
        folder.mkdir(parents=True)
        yield folder / path.name
        for staged in sorted(folder.iterdir(), key=lambda file: file.suffix == ".json"):
            target = path.parent / staged.name
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(staged, target)
    except OSError as error:
        raise FewshotError(f"cannot save the model as {path}: {one_line(error)}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
