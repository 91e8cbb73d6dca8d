"""Commands as tests run them: where it can be, each is a fork of a process that has imported TensorFlow.

The import takes seconds, and hundreds of tests run a command. What a test wants to see of the process itself
(signals, its environment, what is imported) needs one of its own: `in_a_process`.
"""

import atexit
import functools
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable

TIMEOUT = 300  # seconds
# The order is that of a command: `fewshot` says how Keras starts.
IMPORTED = (
    "fewshot",
    "keras",
    "tensorflow",
    "albumentations",
    "joblib",
    "matplotlib.pyplot",
    "scipy.stats",
    "sklearn.linear_model",
    "fewshot.methods.resolve",
    "fewshot.trials.plan",
)


def in_a_process(
    module: str, *args: object, env: dict | None = None, **options
) -> subprocess.CompletedProcess:
    """Run `python -m MODULE ARGS`. env: what is added to the environment. options: `subprocess.run`'s."""
    line = [sys.executable, "-m", module, *map(str, args)]
    options = {"capture_output": True, "text": True, "timeout": TIMEOUT} | options
    return subprocess.run(line, env=os.environ | (env or {}), **options)


def in_a_fork(
    module: str, *args: object, before: Callable[[], object] | None = None
) -> subprocess.CompletedProcess:
    """Run the same in a fork of a process that has made the imports; as `in_a_process` where none can be.

    before: is called in the fork first; it is pickled.
    """
    if sys.platform != "linux":  # elsewhere, libraries that TensorFlow uses do not survive a fork
        return in_a_process(module, *args, **({"preexec_fn": before} if before else {}))
    line = [module, *map(str, args)]
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("out", "err")]
        process = _server().Process(target=_run, args=(line, paths, dict(os.environ), os.getcwd(), before))
        process.start()
        process.join(TIMEOUT)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(line, TIMEOUT)
        printed = [_text(path) for path in paths]
    return subprocess.CompletedProcess(line, process.exitcode, *printed)


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


@functools.cache
def _server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    return context


def _run(
    line: list[str],
    paths: list[str],
    environment: dict[str, str],
    folder: str,
    before: Callable[[], object] | None,
) -> None:
    """Be the process that `python -m` would start; never returns."""
    for number, path in enumerate(paths, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8", buffering=1, closefd=False) for n in (1, 2))
    for name in [name for name in os.environ if name.startswith("FEWSHOT_")]:
        del os.environ[name]  # of the test that started the server
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = line
    if before:
        before()
    code = 1
    try:
        runpy.run_module(line[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
