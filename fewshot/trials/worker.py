"""What a worker process of a Dask cluster does: it becomes like the driver's process, or says why it cannot.

A process serves one setting for its life (Keras has one backend, names are registered once); for another one
the driver has it started anew.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fewshot
from fewshot import backend
from fewshot.errors import FewshotError
from fewshot.identity import PACKAGE_FOLDERS
from fewshot.io.cache import build_once, cache_dir
from fewshot.methods import plugins
from fewshot.trials import transfer
from fewshot.trials.executor import Work
from fewshot.trials.trial import Trial

LIBRARIES = ("keras", "numpy", "scikit-learn", "scipy", "albumentations", "distributed")


class Stale(FewshotError):
    """The worker process is set up in another way, which a process cannot change."""


@dataclass(frozen=True)
class Lacking:
    """In place of a result: this worker's machine does not have the trial's images."""

    worker: str


@dataclass(frozen=True)
class Setting:
    """What a worker process must be to compute as this one does."""

    versions: tuple[tuple[str, str], ...]
    backend: str
    threads: int
    device: str
    plugins: tuple[tuple[str, bytes], ...]  # path here, content
    definitions: bytes  # `plugins.portable`

    @classmethod
    def of(cls, trial: Trial) -> Setting:
        """Return this process's, for trials like this."""
        name = backend.name()
        files = filter(None, os.environ.get(plugins.VARIABLE, "").split(os.pathsep))
        loaded = tuple((file, Path(file).read_bytes()) for file in files)
        libraries = tuple(versions(name).items())
        return cls(libraries, name, trial.threads, trial.device, loaded, plugins.portable())


def versions(keras_backend: str) -> dict[str, str]:
    """Return what must be the same everywhere: it decides results."""
    from importlib.metadata import PackageNotFoundError, version

    python = ".".join(platform.python_version_tuple()[:2])
    numbers = {"Python": python, "fewshot": _code_version(PACKAGE_FOLDERS)}
    for library in (*LIBRARIES, keras_backend):
        try:
            numbers[library] = version(library)
        except PackageNotFoundError:
            numbers[library] = "none"
    return numbers


@functools.cache
def _code_version(folders: tuple[Path, ...]) -> str:
    """Return the version with a digest of all our code, which differs between two clones or after an edit."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(folder.parent)}\n".encode() + path.read_bytes())
    return f"{fewshot.__version__} (code {digest.hexdigest()[:8]})"


_entered: Setting | None = None


def enter(setting: Setting, dask_worker: Any) -> None:
    """Make this worker process one that computes as the driver does, or say why it cannot."""
    global _entered
    if _entered == setting:
        return
    here = versions(setting.backend)
    differing = [
        f"{name} {here[name]} instead of {there}" for name, there in setting.versions if here[name] != there
    ]
    if differing:
        raise FewshotError(
            f"the worker {dask_worker.address} has {', '.join(differing)}: install the same there and start "
            "it again"
        )
    if (threads := dask_worker.state.nthreads) != 1:
        raise FewshotError(
            f"the worker {dask_worker.address} has {threads} threads, and trials want processes of their "
            "own: start it with `dask worker --nthreads 1 --nworkers N`"
        )
    if _entered is not None or ("keras" in sys.modules and backend.name() != setting.backend):
        raise Stale(f"the worker {dask_worker.address} serves another study: wait, or restart it")
    os.environ["KERAS_BACKEND"] = setting.backend
    for file, content in setting.plugins:
        plugins.load(_plugin(Path(file), content))
    plugins.receive(setting.definitions)
    _entered = setting


def on_worker(setting: Setting, work: Work, trial: Trial) -> Any:
    """Return the result of a trial, or `Lacking` where this machine lacks its images."""
    from distributed import get_worker

    worker = get_worker()
    enter(setting, worker)
    try:
        data = transfer.find(trial.data)
        return work(replace(trial, data=data)) if data else Lacking(worker.address)
    except FewshotError as error:
        raise type(error)(f"{error} (the worker {worker.address})") from error


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C to the driver; Dask calls this as a worker of a local cluster starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _plugin(path: Path, content: bytes) -> Path:
    """Return the driver's plugin on this machine: at the same path, or below the same name in the cache."""
    if path.is_file() and path.read_bytes() == content:
        return path
    folder = cache_dir() / "plugins" / hashlib.sha256(content).hexdigest()[:24]

    def write(temporary: Path) -> None:
        (temporary / path.name).write_bytes(content)

    return build_once(folder, write) / path.name
