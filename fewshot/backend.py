"""The Keras backend of this process: imported quietly and fast, with a fixed number of threads.

Keras and its backend are imported here first, wherever training runs; every other module may then
`import keras` without noise and at no cost.
"""

import contextlib
import functools
import gc
import importlib
import importlib.metadata
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import FewshotError, field

# What TensorFlow's native code says at every start. Anything else that it writes is passed on.
CHATTER = re.compile(
    r"^(I0000 |I tensorflow/|\d{4}-\d\d-\d\d .*: I tensorflow/|WARNING: All log messages before absl::|"
    r"To enable the following instructions|.*oneDNN custom operations are on|"
    r".*Unable to register cu|.*computation_placer.cc.*already registered|"
    r".*cuda_platform.cc.*failed call to cuInit)"
)
DEVICES = ("auto", "cpu", "gpu", "gpus")  # what may be asked for
# Keras imports these where they are installed, for features that this project never uses.
UNUSED_BY_KERAS = ("sklearn", "matplotlib", "torch", "jax")

_started: tuple[int, str] | None = None


class Lazy:
    """A module that is imported when it is first used: `ops = Lazy("keras.ops")` takes no time."""

    def __init__(self, module: str):
        self._module = module

    def __getattr__(self, name: str):
        """Return what the module has by a name."""
        return getattr(importlib.import_module(self._module), name)


class RunsAlready(FewshotError):
    """This process computes already, with other threads or on another device."""


def name() -> str:
    """Return the Keras backend that this process uses or will use."""
    return os.environ["KERAS_BACKEND"]


@functools.cache
def versions(*packages: str) -> dict[str, str]:
    """Return the installed versions of `packages`, without importing them."""
    return {package: importlib.metadata.version(package) for package in packages}


def resolve_device(requested: str) -> str:
    """Return "gpu" or "cpu" for "auto", any other device as it is, without importing the backend."""
    if requested == "auto":
        return (
            "gpu" if Path("/dev/nvidia0").exists() and os.environ.get("CUDA_VISIBLE_DEVICES") != "" else "cpu"
        )
    return requested


def started() -> tuple[int, str] | None:
    """Return the number of threads and the device of this process, once it has begun to compute."""
    return _started


def start(threads: int, device: str) -> None:
    """Import Keras with `threads` threads on `device` ("cpu", "gpu" or "gpus"); once a process.

    Float sums depend on the number of threads, so it cannot change afterwards: `RunsAlready`.
    """
    global _started
    if _started == (threads, device):
        return
    if _started is not None:
        raise RunsAlready(
            f"this process already computes with {_started[0]} threads on the {_started[1]}: "
            f"use worker processes ({field('jobs', 2)}) or a new process"
        )
    with without_chatter():
        _STARTERS[name()](threads, device)
    gc.freeze()  # the backend's objects never die: without them, a collection takes 1 ms instead of 100
    _started = (threads, device)


def ensure(threads: int, device: str) -> None:
    """Start the backend, unless this process computes already: then with the threads that it has.

    For what need not be the same to the last digit, such as a prediction in a notebook.
    """
    if _started is None:
        with contextlib.suppress(RunsAlready):
            start(threads, device)


def _start_tensorflow(threads: int, device: str) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    with _hidden(UNUSED_BY_KERAS):
        import keras  # noqa: F401
        import tensorflow as tf
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise RunsAlready(
            "TensorFlow already runs in this process with threads of its own: "
            f"use worker processes ({field('jobs', 2)}) or a new process"
        ) from error
    if device == "gpus":
        raise FewshotError(
            "TensorFlow uses one GPU here: KERAS_BACKEND=jax divides batches among all of them"
        )
    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif not gpus:
        raise FewshotError(
            f"TensorFlow finds no GPU: use {field('device', 'cpu')}, or KERAS_BACKEND=jax with jax[cuda12]"
        )
    else:
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    tf.constant(0)  # starts the runtime here, where its chatter is held back


def _start_jax(threads: int, device: str) -> None:
    if device == "cpu":
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        flags = (
            f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()} intra_op_parallelism_threads={threads}"
        )
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    with _hidden(tuple(package for package in UNUSED_BY_KERAS if package != "jax")):
        import jax
        import keras  # noqa: F401
    if device != "cpu" and jax.default_backend() != "gpu":
        raise FewshotError(f"JAX finds no GPU: use {field('device', 'cpu')}, or install jax[cuda12]")
    if device == "gpus":
        spread()


def spread() -> None:
    """Divide every batch among all devices from now on, and keep the weights on each (JAX)."""
    import keras

    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))


_STARTERS = {"tensorflow": _start_tensorflow, "jax": _start_jax}


def is_out_of_memory(error: Exception) -> bool:
    """Return whether the backend says with an error that the device's memory is full."""
    return "RESOURCE_EXHAUSTED" in str(error) or type(error).__name__ == "ResourceExhaustedError"


def compile_forward(model, finish: Callable = lambda outputs: outputs) -> Callable[..., Any]:
    """Return the forward pass as one compiled function, from float32 arrays to one in memory.

    It takes as many arrays as the model has inputs, and the model's weights as they are at each call; of a
    model with several outputs it returns a list of arrays.
    finish: what is done to the outputs in the graph.
    """
    import keras

    if name() == "tensorflow":
        import tensorflow as tf

        inputs = [tf.TensorSpec(tensor.shape, tf.float32) for tensor in model.inputs]
        graph = tf.function(lambda *x: finish(model(_one_or_all(x), training=False)), inputs, autograph=False)
        forward = graph.get_concrete_function()
        return lambda *x: keras.tree.map_structure(np.asarray, forward(*map(tf.constant, x)))
    import jax

    forward = jax.jit(
        lambda weights, *x: finish(model.stateless_call(*weights, _one_or_all(x), training=False)[0])
    )
    groups = model.trainable_variables, model.non_trainable_variables
    return lambda *x: keras.tree.map_structure(
        np.asarray, forward([[weight.value for weight in group] for group in groups], *x)
    )


def gradients(function: Callable, inputs: list[np.ndarray]) -> tuple[float, list[np.ndarray]]:
    """Return a function's value, a number, at some arrays, and its derivative by each of them.

    function: of as many arrays as there are inputs, in the backend's own operations or Keras's.
    """
    if name() == "tensorflow":
        import tensorflow as tf

        at = [tf.constant(array) for array in inputs]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(at)
            value = function(*at)
        slopes = tape.gradient(value, at, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return float(value), [np.asarray(slope) for slope in slopes]
    import jax

    value, slopes = jax.value_and_grad(function, argnums=tuple(range(len(inputs))))(*inputs)
    return float(value), [np.asarray(slope) for slope in slopes]


def _one_or_all(inputs: tuple):
    return inputs[0] if len(inputs) == 1 else list(inputs)


@contextlib.contextmanager
def _hidden(packages: tuple[str, ...]):
    """Make optional packages look absent while the block imports others: it saves 1.3 s a process."""
    absent = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for package in absent:
            del sys.modules[package]


@contextlib.contextmanager
def without_chatter(chatter: re.Pattern = CHATTER):
    """Hold back what native code writes to standard error, then pass on all but the known chatter."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines():
                if line.strip() and not chatter.match(line):
                    print(line, file=sys.stderr)
