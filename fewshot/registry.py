"""Registries: a new augmentation, network, protocol or dataset is one decorated definition.

    networks = Registry("network", namespace="method")

    @networks.register("baseline", least_size=13)
    def baseline(shape, outputs): ...

The command line's choices, the help texts, the shared tests and the reports' rows all follow from it.

Definitions of users carry a digest of their code in their version, so that results of code that has changed
since are never served (`fewshot.identity` says what the digest sees). Registering again from the same place
replaces: a notebook's cell may run twice.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fewshot.errors import unknown
from fewshot.identity import Origin, blamed, origin_of, source_digest

_registries: weakref.WeakValueDictionary[str, Registry] = weakref.WeakValueDictionary()  # by kind

Make = TypeVar("Make", bound=Callable[..., Any])


@dataclass(frozen=True)
class Definition:
    """One registered callable: a function, a class, or anything else that can be called.

    declared: the version it was registered with; raise it when results change.
    origin: where a user's definition comes from; None for those of this project.
    """

    name: str
    make: Callable[..., Any]
    declared: int | str = 1
    traits: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin | None = None
    kind: str = "definition"

    @property
    def version(self) -> int | str:
        """The part of every record's key; a user's carries the digest of the code as it is now."""
        if self.origin is None:
            return self.declared
        digest = self.origin.digest or source_digest(self.make)
        return f"{self.declared} of {self.origin.label} {digest[:12]}"

    @property
    def summary(self) -> str:
        """The first line of the docstring: what help texts and tables show."""
        return (self.make.__doc__ or "").strip().split("\n")[0]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; what a user's code raises is a `UsageError` that names the definition and the place."""
        with blamed(f"the {self.kind} '{self.name}' fails", self.make):
            return self.make(*args, **kwargs)


class Registry:
    """Definitions of one kind, by name, in the order of their definition.

    namespace: registries that share one refuse a name that any of them has.
    """

    def __init__(self, kind: str, namespace: str | None = None):
        self.kind = kind
        self.namespace = namespace
        self._definitions: dict[str, Definition] = {}
        _registries[kind] = self

    def register(self, name: str, *, version: int = 1, **traits: Any) -> Callable[[Make], Make]:
        """Return a decorator that files the callable under `name`.

        A name is taken once; only a user's own definition can be replaced, from the place it came from.
        Raises `ValueError` for a name that is taken, here or in another registry of the namespace.
        """

        def file(make: Make) -> Make:
            origin = origin_of(make, *((_visitor.file, _visitor.digest) if _visitor else ()))
            self._check_free(name, make, origin)
            self._definitions[name] = Definition(name, make, version, traits, origin, self.kind)
            if origin and _visitor:
                _visitor.registered.append((self, name))
            return make

        return file

    def add(self, definition: Definition) -> None:
        """File a definition as it is, in place of any other of its name: on a worker, the driver's."""
        self._definitions[definition.name] = definition

    def remove(self, name: str) -> None:
        """Take a definition out again."""
        del self._definitions[name]

    def __getitem__(self, name: str) -> Definition:
        """Return the definition; an unknown name is a `UsageError` that suggests the nearest."""
        if name not in self._definitions:
            raise unknown(self.kind, name, self._definitions)
        return self._definitions[name]

    def __contains__(self, name: object) -> bool:
        return name in self._definitions

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)

    def _check_free(self, name: str, make: Callable, origin: Origin | None) -> None:
        for other in list(_registries.values()):
            shared = other is not self and self.namespace and other.namespace == self.namespace
            if shared and name in other:
                raise ValueError(
                    f"the name '{name}' is taken by the {other.kind} '{name}': a {self.kind} needs another, "
                    f"since both are {self.namespace}s. Received: {make!r}"
                )
        if name not in self._definitions:
            return
        previous = self._definitions[name].origin
        repeated = _visitor and (self, name) in _visitor.registered
        if repeated or not (origin and previous and origin.replaces(previous)):
            raise ValueError(f"the {self.kind} '{name}' is registered already. Received: {make!r}")


def import_all(package: str, folders: Iterable[str], but: Collection[str] = ()) -> None:
    """Import the modules of a package, so that what they register is there: a new file is found by itself.

    To be called at the end of the package's `__init__`, with its `__name__` and `__path__`.
    but: modules that register nothing and are slow to import.
    """
    for module in sorted(info.name for info in pkgutil.iter_modules(folders)):
        if module not in but:
            importlib.import_module(f"{package}.{module}")


def users_definitions() -> list[tuple[str, Definition]]:
    """Return what users registered outside of plugin files, each with the kind of its registry.

    Worker processes, which load plugins by their files, need these sent.
    """
    return [
        (kind, definition)
        for kind, registry in sorted(_registries.items())
        for definition in map(registry.__getitem__, registry)
        if definition.origin and not definition.origin.plugin
    ]


def receive(kind: str, definition: Definition) -> None:
    """File the driver's definition in this process's registry of its kind."""
    _registries[kind].add(definition)


@dataclass
class Visitor:
    """A plugin file that registers something: where it lies, its digest, and what it has registered."""

    file: str
    digest: str
    registered: list[tuple[Registry, str]] = field(default_factory=list)


_visitor: Visitor | None = None


@contextlib.contextmanager
def visiting(file: str, digest: str) -> Iterator[Visitor]:
    """Yield the `Visitor` of the block: the file's digest joins the version of all that is registered in it.

    If the block fails, nothing new of it stays, and what it replaced is back.
    """
    global _visitor
    before = {kind: dict(registry._definitions) for kind, registry in _registries.items()}
    _visitor = visitor = Visitor(file, digest)
    try:
        yield visitor
    except BaseException:
        for registry, name in visitor.registered:
            registry._definitions.pop(name, None)
            if previous := before.get(registry.kind, {}).get(name):
                registry._definitions[name] = previous
        raise
    finally:
        _visitor = None
