"""Whose code a definition is, and what identifies a user's.

Ours is what lies in the folders of the three packages of this distribution, as they are installed here: the
name of a module says nothing, a user may have an `experiments` folder, too.

A user's definition is identified by

- the digest of the whole file, where it comes from a plugin file or from a module that is imported;
- the digest of its source, where it comes from a script, a notebook's cell or an interactive session. Seen
  are the source of the function or class, its default values and the variables it closes over, and, followed
  from there, what it names of its own module: functions, classes and plain values (numbers, texts, lists,
  dictionaries and arrays). Of the user's other modules that it names, the whole file is seen. Not seen are
  installed libraries (records name those that compute), the state of other objects, files that are read, and
  what is found only when the code runs (`getattr` with a computed name, imports inside of functions).
"""

from __future__ import annotations

import contextlib
import dis
import functools
import hashlib
import inspect
import site
import sys
import sysconfig
import traceback
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import BrokenCode, FewshotError, UsageError
from fewshot.wording import one_line

_HOME = Path(__file__).resolve().parents[1]
PACKAGE_FOLDERS = tuple(_HOME / name for name in ("fewshot", "gan", "experiments"))  # those of ours
REGISTRY_FILES = {__file__, str(Path(__file__).with_name("registry.py"))}

SESSION = ("<stdin>", "<dynamic-code>")  # files of what is typed, and of what another process sent by value


@dataclass(frozen=True)
class Origin:
    """Where a user's definition comes from.

    place: the file, or the module of an interactive session. line: where it begins in the file.
    digest: of the file (and the plugin that led there); None where the definition's own source counts.
    whole: the digest of the file that it was read from, None where there is none.
    """

    place: str
    label: str
    line: int
    digest: str | None
    whole: str | None
    plugin: bool = False

    def replaces(self, previous: Origin) -> bool:
        """Return whether a definition from here may take the place of that one of the same name.

        It may if it comes from the same place again; two in one unchanged file are a mistake.
        """
        twice = self.whole is not None and self.whole == previous.whole and self.line != previous.line
        return self.place == previous.place and not twice


def is_ours(file: str | Path | None) -> bool:
    """Return whether a file lies in one of this distribution's packages."""
    return bool(file) and _lies_in_ours(str(file))


@functools.lru_cache(maxsize=4096)
def _lies_in_ours(file: str) -> bool:
    parents = _resolved(file).parents
    return any(folder in parents for folder in PACKAGE_FOLDERS)


def origin_of(make: Any, plugin: str | None = None, plugin_digest: str | None = None) -> Origin | None:
    """Return where a definition comes from; None for one of ours.

    plugin, plugin_digest: the plugin file that is being read, and its content's digest.

    To be called by `Registry.register`: the code that registers counts beside the code that defines, so that
    a user's `partial` of a function of ours is the user's.
    """
    file, line, module = _definition_place(make)
    caller = _caller()
    if is_ours(caller.f_code.co_filename) and (file is None or is_ours(file)):
        return None
    if file is None or is_ours(file):
        file, line = caller.f_code.co_filename, caller.f_lineno
        module = caller.f_globals.get("__name__", "__main__")
    path = _resolved(file)
    whole = _file_digest(path) if path.is_file() else None
    if plugin is not None:
        parts = {digest for digest in (plugin_digest, whole) if digest is not None}
        digest = (
            plugin_digest if len(parts) == 1 else hashlib.sha256("".join(sorted(parts)).encode()).hexdigest()
        )
        return Origin(str(path) if whole else plugin, Path(plugin).name, line, digest, whole, plugin=True)
    if whole is None:
        return Origin(module, "this session", line, None, None)
    interactive = module == "__main__"
    return Origin(str(path), path.name, line, None if interactive else whole, whole)


def is_users(make: Any) -> bool:
    """Return whether a function or class is a user's: neither ours, nor of Python or an installed library."""
    file, _, module = _definition_place(make)
    file = file or getattr(sys.modules.get(module), "__file__", None)
    return _is_users_file(file) if file else module not in sys.builtin_module_names


@contextlib.contextmanager
def blamed(what: str, make: Any, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn what a user's code raises in the block into a `BrokenCode` of one line that names the place.

    Whatever it raises: an endless recursion, a `sys.exit()`, anything but Ctrl-C. What a library raises where
    the request is at fault (`also`) is a `UsageError`.

    what: what fails, such as "the network 'mine' fails". make: the function or class that runs; a user's
    code may also be called by a library's. also: what a library raises where the request is at fault.
    """
    try:
        yield
    except (FewshotError, MemoryError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        place = _users_place(error, make)
        if place is None and not isinstance(error, also):
            raise
        if place is None:
            raise UsageError(f"{what}: {one_line(error)}") from error
        raise BrokenCode(f"{what} ({place}): {type(error).__name__}: {one_line(error)}") from error


def place_of(make: Any) -> str:
    """Return the file and line of a user's definition, in words; its name where it has no file."""
    file, line, module = _definition_place(make)
    return _place(file, line) if file else f"{getattr(make, '__qualname__', make)} of {module}"


def _users_place(error: BaseException, make: Any) -> str | None:
    """Return where in a user's code an error arose; where it is called wrongly, where the code begins."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in frames if _is_users_file(frame.filename)]
    if lines:
        return _place(lines[-1].filename, lines[-1].lineno or 0)
    return place_of(make) if is_users(make) else None


def _place(file: str, line: int) -> str:
    if file in SESSION:
        return "your session's code"
    path = Path(file)
    name = "the notebook's cell" if path.parent.name.startswith("ipykernel_") else path.name
    return f"{name}, line {line}" if line else name


def _is_users_file(file: str) -> bool:
    if is_ours(file) or "autograph_generated" in file or (file[:1] == "<" and file not in SESSION):
        return False
    return not any(folder in _resolved(file).parents for folder in _library_folders())


def source_digest(thing: Any) -> str:
    """Return the digest, SHA-256, of a function's or class's source and what it names: see the module.

    Of code that another process sent by value it is the digest that was taken there: here its source is gone.
    """
    if id(thing) in _received:
        return _received[id(thing)][1]
    seen: dict[int, None] = {}
    sha = hashlib.sha256()
    for part in _parts(thing, getattr(thing, "__module__", "__main__"), seen):
        sha.update(part.encode() if isinstance(part, str) else part)
        sha.update(b"\0")
    digest = sha.hexdigest()
    if _taken is not None:
        _taken.append((thing, digest))
    return digest


Digests = list[tuple[Any, str]]  # functions and classes, each with its digest
_received: dict[int, tuple[Any, str]] = {}  # by identity, the object kept so that its number stays its own
_taken: Digests | None = None


@contextlib.contextmanager
def taken_digests() -> Iterator[Digests]:
    """Yield a list that fills with the digests that are taken in the block, to be sent with the code."""
    global _taken
    outer, _taken = _taken, []
    try:
        yield _taken
    finally:
        _taken = outer


def receive_digests(digests: Iterable[tuple[Any, str]]) -> None:
    """Keep what another process took of the code that it sent."""
    _received.update({id(thing): (thing, digest) for thing, digest in digests})


def _definition_place(make: Any) -> tuple[str | None, int, str]:
    """Return file, line and module of the code that a callable runs; no file where there is no code."""
    while isinstance(make, functools.partial):
        make = make.func
    make = inspect.unwrap(make)
    if not isinstance(make, type | types.FunctionType | types.MethodType):
        make = type(make)
    module = getattr(make, "__module__", "__main__")
    if isinstance(make, type):
        codes = [function.__code__ for function in _methods(make)]
        if codes:
            return codes[0].co_filename, getattr(make, "__firstlineno__", codes[0].co_firstlineno), module
        return getattr(sys.modules.get(module), "__file__", None), 0, module
    return make.__code__.co_filename, make.__code__.co_firstlineno, module


def _caller() -> types.FrameType:
    """Return the frame that registers: the first one outside of the registry and of this file."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename in REGISTRY_FILES:
        frame = frame.f_back
    return frame


@functools.lru_cache(maxsize=4096)
def _resolved(file: str) -> Path:
    return Path(file).resolve()


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _parts(value: Any, module: str, seen: dict[int, None]) -> Iterator[str | bytes]:
    """Yield all that identifies a value of a user's module, each object once."""
    if isinstance(value, bool | int | float | complex | str | bytes | None | range | np.generic):
        yield repr(value)
        return
    if id(value) in seen:
        return
    seen[id(value)] = None
    if isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape}"
        yield value.tobytes()
    elif isinstance(value, list | tuple):
        yield type(value).__name__
        for item in value:
            yield from _parts(item, module, seen)
    elif isinstance(value, set | frozenset):
        yield repr(sorted(map(repr, value)))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield repr(key)
            yield from _parts(item, module, seen)
    elif isinstance(value, functools.partial):
        for part in (value.func, value.args, value.keywords):
            yield from _parts(part, module, seen)
    elif isinstance(value, types.MethodType):
        yield from _parts(value.__func__, module, seen)
    elif isinstance(value, types.ModuleType):
        yield value.__name__
        yield from _users_file(value)
    elif isinstance(value, types.FunctionType):
        yield from _function(value, module, seen)
    elif isinstance(value, type):
        yield from _class(value, module, seen)
    elif isinstance(getattr(value, "__wrapped__", None), types.FunctionType):  # a cached function
        yield from _parts(value.__wrapped__, module, seen)
    else:
        yield from _parts(type(value), module, seen)


def _function(function: types.FunctionType, module: str, seen: dict[int, None]) -> Iterator[str | bytes]:
    yield function.__qualname__
    if function.__module__ != module:
        yield from _users_file(sys.modules.get(function.__module__))
        return
    yield _source(function.__code__)
    if hasattr(function, "__wrapped__"):
        yield from _parts(function.__wrapped__, module, seen)
    yield from _parts(function.__defaults__, module, seen)
    yield from _parts(function.__kwdefaults__, module, seen)
    for cell in function.__closure__ or ():
        if cell != types.CellType():
            yield from _parts(cell.cell_contents, module, seen)
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            yield name
            yield from _parts(function.__globals__[name], module, seen)


def _class(cls: type, module: str, seen: dict[int, None]) -> Iterator[str | bytes]:
    yield cls.__qualname__
    if cls.__module__ != module:
        yield from _users_file(sys.modules.get(cls.__module__))
        return
    for base in cls.__bases__:
        yield from _parts(base, module, seen)
    methods = _methods(cls)
    for function in methods:
        yield from _parts(function, module, seen)
    names = {function.__name__ for function in methods}
    for name, attribute in vars(cls).items():
        if name not in names and not (name.startswith("__") and name.endswith("__")):
            yield name
            yield from _parts(attribute, module, seen)
    yield repr(sorted((name, str(kind)) for name, kind in vars(cls).get("__annotations__", {}).items()))


def _methods(cls: type) -> list[types.FunctionType]:
    """Return the functions that are written in a class's body; generated ones have no file."""
    functions = []
    for attribute in vars(cls).values():
        if isinstance(attribute, staticmethod | classmethod):
            parts: list[Any] = [attribute.__func__]
        elif isinstance(attribute, property):
            parts = [attribute.fget, attribute.fset, attribute.fdel]
        elif isinstance(attribute, functools.cached_property):
            parts = [attribute.func]
        else:
            parts = [attribute if isinstance(attribute, types.FunctionType) else _unwrapped(attribute)]
        functions += [
            part
            for part in parts
            if isinstance(part, types.FunctionType) and part.__code__.co_filename != "<string>"
        ]
    return functions


def _unwrapped(attribute: Any) -> Any:
    """Return the function behind a cached one; anything else as it is."""
    return getattr(attribute, "__wrapped__", attribute)


def _users_file(module: types.ModuleType | None) -> Iterator[str]:
    """Yield the digest of a module's file, where it is the user's: not ours, no library's."""
    file = getattr(module, "__file__", None)
    if file and _is_users_file(file) and _resolved(file).is_file():
        yield _file_digest(_resolved(file))


@functools.cache
def _library_folders() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = [*(sysconfig.get_paths()[name] for name in names), *site.getsitepackages()]
    return tuple(map(_resolved, [*paths, site.getusersitepackages()]))


@functools.lru_cache(maxsize=4096)
def _source(code: types.CodeType) -> str:
    """Return a function's source; where there is none, its instructions and constants."""
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        constants = [_source(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
        return "\n".join([code.co_code.hex(), *constants, *code.co_names, *code.co_varnames])


def _names(code: types.CodeType) -> set[str]:
    """Return the global names that a function reads, those of functions inside it included."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names
