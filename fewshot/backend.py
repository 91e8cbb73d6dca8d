"""The Keras backend of this process: imported quietly and fast, with a fixed number of threads.

Keras and its backend are imported here first, wherever training runs; every other module may then
`import keras` without noise and at no cost.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import importlib.util
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fewshot import compilations
from fewshot.errors import FewshotError, UsageError, field, unknown
from fewshot.wording import one_line

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

# Variables that libraries read, and that change numbers: part of every record's key where they are set.
CHANGING = (
    "TF_ENABLE_ONEDNN_OPTS",
    "NVIDIA_TF32_OVERRIDE",
    "JAX_ENABLE_X64",
    "JAX_DEFAULT_MATMUL_PRECISION",
)
CARD = Path("/dev/nvidia0")
HIDDEN = re.compile(
    r"\s*(-\d+|NoDevFiles|none|void)?\s*(,|$)", re.IGNORECASE
)  # no card, or none from here on
INSTALL = {
    "tensorflow": "pip install 'tensorflow[and-cuda]', or KERAS_BACKEND=jax with jax[cuda12]",
    "jax": "pip install 'jax[cuda12]'",
}

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
    """Return the Keras backend that this process uses or will use; `UsageError` for one that cannot be."""
    wanted = os.environ["KERAS_BACKEND"]
    if wanted not in _STARTERS:
        raise unknown("KERAS_BACKEND", wanted, _STARTERS)
    if not _is_installed(wanted):
        raise UsageError(
            f"KERAS_BACKEND={wanted}, but {wanted} is not installed: install it, or {_OTHERWISE}"
        )
    if (keras := sys.modules.get("keras")) and keras.config.backend() != wanted:
        raise UsageError(
            f"this process imported Keras on {keras.config.backend()} before, not on {wanted}: set "
            f"KERAS_BACKEND={wanted} before the first import of keras, or import fewshot first"
        )
    return wanted


@functools.cache
def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


@functools.cache
def versions(*packages: str) -> dict[str, str]:
    """Return the installed versions of `packages`, without importing them.

    Beside them the variables `CHANGING`, as far as they are set: with another value, a library computes
    other numbers.
    """
    from importlib.metadata import version

    numbers = {package: version(package) for package in packages}
    return numbers | {variable: os.environ[variable] for variable in CHANGING if os.environ.get(variable)}


def resolve_device(requested: str) -> str:
    """Return "gpu" or "cpu" for "auto", any other device as it is.

    Where there is a card that is not hidden (`CUDA_VISIBLE_DEVICES`), it is found out whether the backend can
    use it, which imports TensorFlow; if it cannot, a line on standard error says how it could.
    """
    if requested != "auto":
        return requested
    hidden = HIDDEN.match(os.environ.get("CUDA_VISIBLE_DEVICES", "0"))
    return "gpu" if CARD.exists() and not hidden and _sees_card(name()) else "cpu"


@functools.cache
def _sees_card(backend: str) -> bool:
    """Return whether a backend can use the card, and say how it could where it cannot; once a process."""
    with without_chatter():
        sees = _SEES[backend]()
    if not sees:
        print(
            f"computing on the CPU: there is a graphics card, but {backend} here cannot use it; to use it: "
            f"{INSTALL[backend]}",
            file=sys.stderr,
        )
    return sees


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


def _import_tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    with _hidden(UNUSED_BY_KERAS):
        _import_keras()
        import tensorflow
    return tensorflow


def _import_jax() -> Any:
    with _hidden(tuple(package for package in UNUSED_BY_KERAS if package != "jax")):
        import jax

        _import_keras()
    return jax


def _import_keras() -> None:
    """Import Keras with its settings as they come, whatever the user's keras.json says: numbers follow."""
    try:
        import keras
    except (
        AssertionError,
        ValueError,
    ) as error:  # a value of the file or of a variable that it does not know
        raise FewshotError(
            f"Keras does not start ({one_line(error) or 'a setting that it does not know'}): look at "
            f"{os.environ.get('KERAS_HOME', '~/.keras')}/keras.json and at the variables KERAS_…"
        ) from error
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)


def _tensorflow_sees_card() -> bool:
    return bool(_import_tensorflow().config.list_physical_devices("GPU"))


def _jax_sees_card() -> bool:
    from importlib.metadata import entry_points

    # Not asked itself: that starts it, and the threads of its CPU can be set no more.
    return bool(entry_points(group="jax_plugins"))


def _start_tensorflow(threads: int, device: str) -> None:
    tf = _import_tensorflow()
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
    jax = _import_jax()
    compilations.keep(jax)
    if device != "cpu" and jax.default_backend() != "gpu":
        raise FewshotError(f"JAX finds no GPU: use {field('device', 'cpu')}, or install jax[cuda12]")
    if device == "gpus":
        spread()


def spread() -> None:
    """Divide every batch among all devices from now on, and keep the weights on each (JAX)."""
    import keras

    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))


_STARTERS = {"tensorflow": _start_tensorflow, "jax": _start_jax}
_SEES = {"tensorflow": _tensorflow_sees_card, "jax": _jax_sees_card}
_OTHERWISE = "leave KERAS_BACKEND out"


_setup_seconds, _setting_up = 0.0, False


@contextlib.contextmanager
def setting_up() -> Iterator[None]:
    """Count the block's seconds as setting up: building networks, compiling, loading images into the device.

    None is training, as those count who train in seconds. A block inside another is a part of it.
    """
    global _setup_seconds, _setting_up
    if _setting_up:
        yield
        return
    _setting_up, begin = True, time.perf_counter()
    try:
        yield
    finally:
        _setting_up = False
        _setup_seconds += time.perf_counter() - begin


def setup_seconds() -> float:
    """Return the seconds that this process has spent so far in `setting_up`."""
    return _setup_seconds


class Ahead:
    """A function of JAX's, compiled before it is first called with arrays of a kind: that is setting up.

    options: of `jax.jit`. Where arrays are divided among devices, each call may divide them in another way,
    and JAX itself compiles as it calls.
    """

    def __init__(self, function: Callable, **options: Any):
        import jax

        self._function = jax.jit(function, **options)
        self._compiled: dict[Any, Callable] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Return what the function does of its arguments."""
        import jax
        import keras

        if keras.distribution.distribution() is not None:
            return self._function(*arguments)
        leaves, structure = jax.tree.flatten(arguments)
        kinds = structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if kinds not in self._compiled:
            with setting_up():
                self._compiled[kinds] = self._function.lower(*arguments).compile()
        return self._compiled[kinds](*arguments)


def compile_function(function: Callable) -> Callable[..., Any]:
    """Return a function of the backend's own arrays or NumPy's, compiled when it is first called."""
    if name() == "jax":
        return Ahead(function)
    import tensorflow as tf

    graph = tf.function(function, autograph=False)

    def call(*arrays: Any) -> Any:
        tensors = [*map(tf.convert_to_tensor, arrays)]
        with setting_up():
            compiled = graph.get_concrete_function(*tensors)
        return compiled(*tensors)

    return call


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
        with setting_up():
            forward = graph.get_concrete_function()
        return lambda *x: keras.tree.map_structure(np.asarray, forward(*map(tf.constant, x)))

    forward = Ahead(
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
    """Hold back what native code writes to standard error, then pass on all but the known chatter.

    What Python writes there goes on its way: a progress that another thread shows does not fall silent.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as held, _as_standard_error(kept):
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                held.seek(0)
                for line in held.read().decode(errors="replace").splitlines():
                    if line.strip() and not chatter.match(line):
                        print(line, file=sys.stderr)
    finally:
        os.close(kept)


@contextlib.contextmanager
def _as_standard_error(descriptor: int) -> Iterator[None]:
    """Let Python write to a copy of standard error, where `sys.stderr` is the usual one."""
    try:
        usual = sys.stderr.fileno() == 2
    except (OSError, ValueError):  # a test's, or a notebook's
        usual = False
    if not usual:
        yield
        return
    with (
        open(
            descriptor,
            "w",
            buffering=1,
            encoding=sys.stderr.encoding,
            errors="backslashreplace",
            closefd=False,
        ) as copy,
        contextlib.redirect_stderr(copy),
    ):
        yield
