"""A Keras model in other programs' formats, each with a way to run what was written.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewshot import backend
from fewshot.errors import FewshotError, UsageError, field, unknown
from fewshot.registry import Registry
from fewshot.wording import one_line

if TYPE_CHECKING:
    import keras

ANYTHING = re.compile("")
SHRINKS = (
    "it has no layer that shrinks images well: "
    f"train with {field('image_size')} as large as the backbone looks"
)
# Definitions are write(model, path) -> run, and run(images) takes float32 and returns probabilities;
# `packages` are those of the extra 'export' that they need.
converters = Registry("format")


def check(names: Collection[str]) -> None:
    """Raise `UsageError` for an unknown format, a missing package, or a backend other than TensorFlow."""
    for name in names:
        if name not in converters:
            raise unknown("format", name, ["keras", *converters])
        if backend.name() != "tensorflow":
            raise UsageError(f"{name} is written by TensorFlow: leave KERAS_BACKEND out")
        packages = converters[name].traits.get("packages", ())
        if missing := [package for package in packages if not importlib.util.find_spec(package)]:
            raise UsageError(f"{name} needs {', '.join(missing)}: pip install 'fewshot-testbed[export]'")


def write(name: str, model: keras.Model, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Write a Keras model to `path` and return what runs the file.

    Raises `FewshotError` where the model has no such form, `OSError` where the file cannot be written.
    """
    try:
        # What converters print, pages where they fail, is in their error, too.
        with backend.without_chatter(ANYTHING), warnings.catch_warnings(action="ignore"):
            return converters[name](model, path)
    except OSError:
        raise  # no room, no permission: the caller knows where
    except Exception as error:  # converters raise whatever comes up
        reason = SHRINKS if "ScaleAndTranslate" in str(error) else f"{one_line(error):.300}"
        raise FewshotError(f"the model cannot be written as {name}: {reason}") from error


@converters.register("saved_model")
def saved_model(model: keras.Model, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A folder for TensorFlow Serving and TensorFlow in any language."""
    import tensorflow as tf

    model.export(path, format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(path)
    return lambda images: loaded.serve(images).numpy()


@converters.register("tflite")
def tflite(model: keras.Model, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A file for phones and small computers; it takes one image at a time."""
    import tensorflow as tf

    signature = [tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="pixels")]
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False, input_signature=signature)
        content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    path.write_bytes(content)
    interpreter = tf.lite.Interpreter(str(path), num_threads=_threads())
    pixels, probabilities = (
        details()[0]["index"] for details in (interpreter.get_input_details, interpreter.get_output_details)
    )
    shape: tuple[int, ...] = ()

    def run(images: np.ndarray) -> np.ndarray:
        nonlocal shape
        if images.shape != shape:
            shape = images.shape
            interpreter.resize_tensor_input(pixels, shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(pixels, images)
        interpreter.invoke()
        return interpreter.get_tensor(probabilities)

    return run


@converters.register("onnx", packages=("tf2onnx", "onnx", "onnxruntime"))
def onnx(model: keras.Model, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A file for ONNX Runtime and what else reads ONNX."""
    import onnxruntime

    model.export(path, format="onnx", verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def _threads() -> int:
    started = backend.started()
    assert started is not None  # there is a model, so Keras runs
    return started[0]
