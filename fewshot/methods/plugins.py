"""Plugins: a user's own Python file that registers networks, augmentations, recipes or estimators.

    from fewshot.models import networks

    @networks.register("mine", least_size=8)
    def mine(shape, outputs): ...

What a file defines carries the file's digest in its version: when the file changes, its trials are computed
anew. Worker processes load the same files, whose names they find in the environment; what is registered in a
notebook or a script is sent to them (`portable`, `receive`).
"""

from __future__ import annotations

import functools
import os
import runpy
import traceback
from dataclasses import replace
from pathlib import Path

import fewshot.learners.estimator
import fewshot.learners.head_first
import fewshot.learners.heads
import fewshot.learners.numpy_network
import fewshot.learners.transfer  # noqa: F401  (all that is ours is registered before anything of a plugin)
from fewshot import registry
from fewshot.errors import UsageError
from fewshot.io.digests import sha256_of
from fewshot.registry import users_definitions, visiting
from fewshot.wording import one_line

VARIABLE = "FEWSHOT_PLUGINS"
GROUP = "fewshot.plugins"  # of entry points

_loaded: dict[Path, str] = {}  # the digest of each


def load(file: str | Path) -> None:
    """Run a plugin, here and in the processes started from now on; again only where it has changed since.

    Raises `UsageError` where it does not import, registers nothing, or takes a name already there.
    """
    path = Path(file).expanduser().resolve()
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise UsageError(f"cannot read the plugin {file}: {error.strerror}") from error
    if _loaded.get(path) == digest:
        return
    with visiting(str(path), digest) as visitor:
        _execute(path)
        if not visitor.registered:
            raise UsageError(
                f"the plugin {path} registers nothing: it needs a decorated function, such as "
                '@networks.register("mine", least_size=8), with networks from fewshot.models'
            )
    _loaded[path] = digest
    inherited = os.environ.get(VARIABLE, "").split(os.pathsep)
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*filter(None, inherited), str(path)]))


@functools.cache
def load_installed() -> None:
    """Import what installed packages register, each under its entry point in the group `fewshot.plugins`.

    Raises `UsageError` for one that does not import.
    """
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except (Exception, SystemExit) as error:  # whatever someone else's package raises
            package = f" of the package {entry.dist.name}" if entry.dist else ""
            raise UsageError(
                f"the plugin '{entry.name}'{package} does not import: "
                f"{type(error).__name__}: {one_line(error)}"
            ) from error


def load_inherited() -> None:
    """Load what the process that started this one has loaded."""
    load_installed()
    for file in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        load(file)


def portable() -> bytes:
    """Return what was registered outside of plugin files, for `receive` on a worker; nothing for nothing."""
    definitions = [
        (kind, replace(definition, declared=definition.version, origin=None))
        for kind, definition in users_definitions()
    ]
    if not definitions:
        return b""
    import cloudpickle  # takes what a notebook defines by value

    try:
        return cloudpickle.dumps(definitions)
    except Exception as error:  # whatever the variables of a user's function raise
        names = ", ".join(definition.name for _, definition in definitions)
        raise UsageError(f"{names} cannot be sent to worker processes: {one_line(error)}") from error


def receive(content: bytes) -> None:
    """Register here what the driver's process has registered outside of plugin files."""
    if content:
        import cloudpickle

        for kind, definition in cloudpickle.loads(content):
            registry.receive(kind, definition)


def _execute(path: Path) -> None:
    try:
        runpy.run_path(str(path))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        place = f"{path}, line {lines[-1]}" if lines else path
        raise UsageError(
            f"the plugin does not import: {place}: {type(error).__name__}: {one_line(error)}"
        ) from error
