"""A learner made ready for use: trained on all images that there are, saved as one file with a card.

    model.keras     from raw pixels to calibrated probabilities, preprocessing inside
    model.json      the card: classes, image size, what to expect of it, where it comes from
    model.saved_model/, model.tflite, model.onnx    the same for other programs, where asked for

Import this after `fewshot.backend.start`.
"""

import contextlib
import copy
import datetime
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from fewshot import __version__, backend, calibration, converters, graph
from fewshot.data.dataset import Dataset, Splits
from fewshot.errors import FewshotError, UsageError
from fewshot.fetch import one_line
from fewshot.learner import Learner
from fewshot.models.summary import latencies
from fewshot.saved import FORMAT, card_path, digest, read

KERAS = "keras"
CHECKED = 20  # images on which what was saved is compared with what was trained
TOLERANCE = 0.02  # of a probability: rounding to half precision may send a feature to the other side


def export(
    learner: Learner,
    train: Dataset,
    seed: int,
    path: str | os.PathLike,
    card: dict,
    formats: Sequence[str] = (KERAS,),
) -> dict:
    """Train `learner` on all of `train`, save it as `path` (`NAME.keras`) and return its card.

    card: what the caller knows and the card shall say: "method", "protocol", "expected" (an accuracy with
    its interval), …; "temperature", of `fewshot.calibration.fit_temperature`, is built into the model.
    formats: "keras" is always written; "saved_model", "tflite" and "onnx" go beside it.

    Classes without an image are left out of the model. All files are read back, the Keras one in safe
    mode, and compared on 20 images; only then do they take the place of earlier ones. Raises `UsageError`
    for a learner that no single network can stand for, images that are not square, a path or format that
    is none, or a package that a format misses; `FewshotError` where a file cannot be written, or does not
    say what the learner says.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise UsageError(f"a model is saved as NAME.keras. Received: {path}")
    others = [name for name in dict.fromkeys(formats) if name != KERAS]
    converters.check(others)
    train = train.compact()
    height, width, _ = train.image_shape
    if height != width:
        raise UsageError(f"a model for prediction takes square images. Received: {height}×{width}")
    if len(train.classes) < 2:
        raise UsageError("a model needs images of two classes or more")
    graph.source(learner)
    learner.check(train.image_shape)
    learner = copy.copy(learner).fit(train, seed)

    temperature = float(card.get("temperature", 1.0))
    model = graph.model(learner, train.image_shape, temperature)
    images = train.x[np.linspace(0, len(train) - 1, min(CHECKED, len(train))).astype(int)]
    expected = learner.predict(images)
    expected = calibration.scaled(expected, temperature) if temperature != 1 else expected
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _in_place(path) as temporary:
            model.save(temporary)
            model = read(temporary)
            forward = backend.compile_forward(model)
            found = forward(images.astype(np.float32))
            written = {KERAS: _report(path, found - expected, forward, train.image_shape)}
            if (difference := written[KERAS]["max_difference"]) > TOLERANCE:
                raise FewshotError(f"the saved model differs from the learner by up to {difference:.2g}")
            own = {"sha256": digest(temporary)}
        for name in others:
            target = path.with_suffix(f".{name}")
            with _in_place(target) as temporary:
                run = converters.write(name, model, temporary)
                difference = np.concatenate([run(image[None].astype(np.float32)) for image in images]) - found
            written[name] = _report(target, difference, run, train.image_shape)
        full = {
            **card,
            "format": FORMAT,
            "model": path.name,
            **own,
            "classes": list(train.classes),
            "image_size": height,
            "temperature": temperature,
            "images": np.bincount(train.y).tolist(),
            "seed": seed,
            "learner": {"kind": type(learner).__name__, **learner.describe()},
            "data": Splits("", train).fingerprint(),
            "versions": {"fewshot": __version__} | _versions(),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "formats": written,
        }
        with _in_place(card_path(path)) as temporary:
            temporary.write_text(json.dumps(full, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return full


def _versions() -> dict[str, str]:
    return backend.versions("keras", backend.name(), "numpy", "scikit-learn", "pillow")


def _report(path: Path, difference: np.ndarray, forward: Callable, shape: tuple[int, int, int]) -> dict:
    """Return what the card says of a file; milliseconds for one image, the median of many calls."""
    return {
        "file": path.name,
        "max_difference": float(np.abs(difference).max()),
        "latency_ms": round(1e3 * float(np.median(latencies(forward, shape))), 3),
    }


@contextlib.contextmanager
def _in_place(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which takes the place of `path` if all went well; else nothing stays."""
    temporary = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FewshotError(f"cannot save the model as {path}: {one_line(error)}") from error
