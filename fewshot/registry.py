"""Registries: a new augmentation, network, protocol or dataset is one decorated definition.

    networks = Registry("network")

    @networks.register("baseline", least_size=13)
    def baseline(shape, outputs): ...

The command line's choices, the help texts, the shared tests and the reports' rows all follow from it.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fewshot.errors import unknown

PACKAGES = ("fewshot", "gan", "experiments")  # whose definitions are ours


@dataclass(frozen=True)
class Definition:
    """One registered callable. `version` is part of every record's key: raise it when results change."""

    name: str
    make: Callable[..., Any]
    version: int | str = 1
    traits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first line of the docstring: what help texts and tables show."""
        return (self.make.__doc__ or "").strip().split("\n")[0]

    def __call__(self, *args, **kwargs):
        return self.make(*args, **kwargs)


class Registry:
    """Definitions of one kind, by name, in the order of their definition."""

    def __init__(self, kind: str):
        self.kind = kind
        self._definitions: dict[str, Definition] = {}

    def register(self, name: str, *, version: int = 1, **traits):
        """Return a decorator that files the callable under `name`; a name can be taken once only."""

        def file(make):
            if name in self._definitions:
                raise ValueError(f"the {self.kind} '{name}' is registered already. Received: {make!r}")
            # What a plugin imports may register definitions of ours: those are not the plugin's.
            theirs = _visitor and getattr(make, "__module__", "").split(".")[0] not in PACKAGES
            stamped = f"{version} of {_visitor.origin}" if theirs else version
            self._definitions[name] = Definition(name, make, stamped, traits)
            if theirs:
                _visitor.registered.append((self, name))
            return make

        return file

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


@dataclass(frozen=True)
class Visitor:
    """Someone else's code that registers something: where it comes from, and what it has registered."""

    origin: str
    registered: list[tuple[Registry, str]] = field(default_factory=list)


_visitor: Visitor | None = None


@contextlib.contextmanager
def visiting(origin: str):
    """Yield the `Visitor` of the block: `origin` joins the version of all that is registered in it.

    If the block fails, nothing of it stays.
    """
    global _visitor
    _visitor = visitor = Visitor(origin)
    try:
        yield visitor
    except BaseException:
        for registry, name in visitor.registered:
            registry.remove(name)
        raise
    finally:
        _visitor = None
