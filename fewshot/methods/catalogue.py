"""The catalogue: every method by its one name, with what it is, what it costs and what was published of it.

    methods["bn"].specification            # "baseline:norm=batch"
    methods.tagged("cnn")                  # the methods of a study

A name means one thing, in every command and in Python. All that is registered is a method by its own name
(networks, estimators, learners, `flip` and the like, `online:flip`); the families in `fewshot.methods.named`
add names for specifications, and say more of some of those that are there anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from fewshot.augment.offline import expansions
from fewshot.augment.online import policies
from fewshot.errors import unknown
from fewshot.methods import plugins
from fewshot.methods.heads import HEADS, ONLINE, registry_of
from fewshot.registry import Registry
from fewshot.settings import cut

_TAGS = {"network": "network", "NumPy network": "numpy", "estimator": "estimator", "learner": "learner"}


@dataclass(frozen=True)
class Method:
    """A named method.

    specification: the text that it stands for (`fewshot.methods.specification`). summary: a line. tags: the
    studies that show it, and topics. cost_seconds: of one trial of 2 × 50 images on one core, roughly; None
    where nobody has measured it. published: protocol → accuracy on CIFAR-10, in percent, as a report gives
    it; several of these runs are faulty. aliases: names that it had before.
    """

    name: str
    specification: str
    summary: str
    tags: tuple[str, ...] = ()
    cost_seconds: float | None = None
    published: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    aliases: tuple[str, ...] = ()


class Catalogue(Mapping[str, Method]):
    """All methods by name: those that are defined, then all else that is registered."""

    def __init__(self) -> None:
        self._defined: dict[str, Method] = {}
        self._aliases: dict[str, str] = {}
        # Held in the registries' common namespace, so that nothing else takes a name of ours.
        self._names = Registry("method", namespace="method")

    def define(
        self,
        name: str,
        specification: str | None = None,
        summary: str = "",
        *,
        tags: tuple[str, ...] = (),
        cost_seconds: float | None = None,
        published: Mapping[str, str] | None = None,
        aliases: tuple[str, ...] = (),
    ) -> Method:
        """Give a specification a name, or say more of a method that has one; see `Method`.

        specification: None for the method that is registered by this name. Defining a name again replaces
        what was defined before. Raises `ValueError` where something else is registered by the name.
        """
        method = Method(name, specification or name, summary, tags, cost_seconds, published or {}, aliases)
        if method.specification != name:
            if name in self._names:
                self._names.remove(name)
            self._names.register(name)(lambda: method)
        self._defined[name] = method
        self._aliases |= dict.fromkeys(aliases, name)
        return method

    def remove(self, name: str) -> None:
        """Take a method out again."""
        method = self._defined.pop(name)
        if name in self._names:
            self._names.remove(name)
        for alias in method.aliases:
            del self._aliases[alias]

    @property
    def aliases(self) -> Mapping[str, str]:
        """Old name → name of today."""
        return MappingProxyType(self._aliases)

    @property
    def specifications(self) -> Mapping[str, str]:
        """Name → what it stands for, of those that stand for something else."""
        return {name: self._defined[name].specification for name in self._names}

    def current_name(self, name: str) -> str:
        """Return a method's name of today; any other text as it is."""
        return self._aliases.get(name, name)

    def summary_of(self, name: str) -> str:
        """Return what a method is, or one whose settings are changed; nothing where that is not known."""
        if name in self:
            return self[name].summary
        head, written = cut(name)
        summary = self[head].summary if head in self else ""
        return f"{summary}; with {written[1:]}" if summary else ""

    def tagged(self, tag: str) -> list[Method]:
        """Return the methods with a tag; `UsageError` for a tag that none has."""
        tagged = [method for method in self.values() if tag in method.tags]
        if not tagged:
            raise unknown("tag", tag, sorted({tag for method in self.values() for tag in method.tags}))
        return tagged

    def published_under(self, protocol: str) -> list[Method]:
        """Return the methods of which something was published under a protocol."""
        return [method for method in self._defined.values() if protocol in method.published]

    def __getitem__(self, name: str) -> Method:
        """Return the method of a name, old ones included; an unknown one is a `UsageError`."""
        plugins.load_installed()
        name = self.current_name(name)
        registered = self._registered(name)
        if name in self._defined:
            method = self._defined[name]
            return replace(method, summary=method.summary or registered.summary) if registered else method
        if registered is None:
            raise unknown("method", name, [*self, *self.aliases])
        return registered

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        name = self.current_name(name)
        return name in self._defined or self._registered(name) is not None

    def __iter__(self) -> Iterator[str]:
        plugins.load_installed()
        augmentations = [name for name in expansions if name != "none"]
        online = [f"{ONLINE}{name}" for name in policies if name != "none"]
        heads = [name for registry in HEADS for name in registry]
        return iter(dict.fromkeys([*self._defined, *augmentations, *online, *heads]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _registered(self, name: str) -> Method | None:
        """Return the method that something registered is by its own name."""
        if registry := registry_of(name):
            return Method(name, name, registry[name].summary, (_TAGS[registry.kind],))
        if name in expansions and name != "none":
            return Method(name, name, expansions[name].summary, ("augment", "offline"))
        policy = name.removeprefix(ONLINE)
        if policy != name and policy in policies:
            return Method(name, name, policies[policy].summary, ("augment", "online"))
        return None


methods = Catalogue()
