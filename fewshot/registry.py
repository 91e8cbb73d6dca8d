"""Registries: a new augmentation, network, protocol or dataset is one decorated definition.

    networks = Registry("network")

    @networks.register("baseline", least_size=13)
    def baseline(shape, outputs): ...

The command line's choices, the help texts, the shared tests and the reports' rows all follow from it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fewshot.errors import unknown


@dataclass(frozen=True)
class Definition:
    """One registered callable. `version` is part of every record's key: raise it when results change."""

    name: str
    make: Callable[..., Any]
    version: int = 1
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
            self._definitions[name] = Definition(name, make, version, traits)
            return make

        return file

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
