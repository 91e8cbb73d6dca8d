"""Settings in a name: `baseline:norm=batch,width=32` is `baseline` with two of its settings changed.

Networks take their switches so, methods their recipe's fields, too. What a switch takes is said by its type:

    def mine(shape, outputs, *, width: Width = 16, dropout: Share = 0.1, norm: Literal["none", "batch"] = …)
"""

from __future__ import annotations

import inspect
import math
import numbers
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from fewshot.errors import UsageError, is_finite, unknown
from fewshot.registry import Registry

# What settings were called before, in texts that users have: understood wherever nothing has the old name.
ALIASES = {
    "policy": "online",
    "expansion": "offline",
    "members": "ensemble_size",
    "mirror": "tta_flip",
    "pace": "lr_scale",
}


@dataclass(frozen=True)
class Range:
    """The numbers that a setting takes, from `least` to `most`; a number that is none is never one of them.

    above: the least itself is not one. below: the greatest itself is not one. whole: whole numbers alone.
    """

    least: float = -math.inf
    most: float = math.inf
    above: bool = False
    below: bool = False
    whole: bool = False

    def holds(self, value: float) -> bool:
        """Return whether a number is one of them."""
        if not is_finite(value) or not self.least <= value <= self.most:
            return False
        return not (self.above and value == self.least) and not (self.below and value == self.most)

    @property
    def wanted(self) -> str:
        """The range in words."""
        number = "a whole number" if self.whole else "a number"
        if math.isinf(self.least) and math.isinf(self.most):
            return number
        least, most = (f"{end:,.15g}" for end in (self.least, self.most))
        if self.above or (self.whole and self.least == 1):
            lower = f"above {0 if self.whole else least}"
        else:
            lower = f"from {least} on"
        if self.below and not self.above:
            return f"{least} or more, and below {most}"
        if math.isinf(self.most):
            return f"{number} {lower}" if self.above or self.whole else f"{least} or more"
        return f"{number} {lower}, and {'below' if self.below else 'at most'} {most}"


Limits = Mapping[str, "Range | Iterable[str]"]  # of settings: the numbers that one takes, or the names

COUNT = Range(1, 100_000_000, whole=True)
SHARE = Range(0, 1, below=True)
POSITIVE = Range(0, above=True)
NOT_NEGATIVE = Range(0)
# Types of switches and fields; more than the greatest of these nobody's machine holds.
Count = Annotated[int, COUNT]
Width = Annotated[int, Range(1, 65_536, whole=True)]  # channels, units
Depth = Annotated[int, Range(1, 1000, whole=True)]  # layers, blocks
Side = Annotated[int, Range(1, 1024, whole=True)]  # pixels of a kernel or a patch, regions
Size = Annotated[int, Range(0, 4096, whole=True)]  # pixels of an image; 0: as they are
Layers = Annotated[int, Range(0, 10_000, whole=True)]  # so many; 0: all
Factor = Annotated[float, Range(0, 64, above=True)]  # times so wide
Share = Annotated[float, SHARE]
Part = Annotated[float, Range(0, 1, above=True)]
Positive = Annotated[float, POSITIVE]
NotNegative = Annotated[float, NOT_NEGATIVE]
FINITE, WHOLE = Range(), Range(whole=True)
_MARK = re.compile(":(?!//)")  # before settings; in an address, as `hf://OWNER/NAME`, it is none


def limits_of(thing: Callable) -> dict[str, Range | tuple[str, ...]]:
    """Return what the settings of a function or a dataclass take, as far as their types say it."""
    try:
        hints = get_type_hints(thing, include_extras=True)
    except (NameError, TypeError):  # names that only a type checker knows; no function
        return {}
    limits: dict[str, Range | tuple[str, ...]] = {}
    for name, kind in hints.items():
        if get_origin(kind) is Literal:
            limits[name] = get_args(kind)
        for part in (kind, *get_args(kind)):  # of `Count | None`, too
            limits.update(
                (name, mark) for mark in getattr(part, "__metadata__", ()) if isinstance(mark, Range)
            )
    return limits


def check(owner: str, values: Mapping[str, object], limits: Limits) -> None:
    """Raise `UsageError` for a value that a setting does not take; None is one that was left open.

    owner: whose settings they are, for messages. What is written as text is checked by the same (`typed`).
    """
    for key, limit in limits.items():
        value = values[key]
        if value is None:
            continue
        if isinstance(limit, Range):
            _check_number(owner, key, value, limit, repr(value))
        elif str(value) not in map(str, limit):
            raise unknown(f"{key} of {owner}", str(value), limit)


def cut(text: str) -> tuple[str, str]:
    """Return what stands before the settings in a text, and the rest, which begins with the colon, if any."""
    mark = _MARK.search(text)
    return (text[: mark.start()], text[mark.start() :]) if mark else (text, "")


def split(text: str) -> tuple[str, dict[str, str]]:
    """Return the name and the settings (a flag alone, `se`, is `se=yes`); `UsageError` for a torn one."""
    name, rest = cut(text)
    settings = {}
    for part in rest[1:].split(",") if rest else []:
        key, equals, value = part.strip().partition("=")
        if not key or (equals and not value):
            raise UsageError(f"'{text}': settings are written NAME:key=value,key=value")
        if key in settings:
            raise UsageError(f"'{text}' sets {key} twice")
        settings[key] = value or "yes"
    return name, settings


def join(name: str, settings: Mapping[str, object], mark: str = ":") -> str:
    """Return the text that `split` reads, settings in alphabetical order; `mark` stands before them."""
    parts = ",".join(f"{key}={_text(settings[key])}" for key in sorted(settings))
    return f"{name}{mark}{parts}" if parts else name


def changed(text: str, /, **values: object) -> str:
    """Return the text with some settings changed or added."""
    name, given = split(text)
    return join(name, given | values)


def current_name(key: str, known: Container[str]) -> str:
    """Return what a setting is called today, among the names that are known."""
    today = ALIASES.get(key, key)
    return today if key not in known and today in known else key


def typed(
    owner: str,
    settings: Mapping[str, str],
    defaults: Mapping[str, object],
    limits: Limits = MappingProxyType({}),
) -> dict[str, object]:
    """Return the settings with the types of their defaults; `UsageError` for an unknown or unfit one.

    owner: whose settings they are, for messages. limits: the names that a setting is one of, or
    the numbers that it takes.
    """
    values = {}
    for given, text in settings.items():
        key = current_name(given, defaults)
        if key in values:
            raise UsageError(f"{owner}: {given} and {key} are the same setting")
        if key not in defaults:
            raise unknown(f"setting of {owner}", key, defaults)
        limit = limits.get(key, FINITE)
        if not isinstance(limit, Range):
            check(owner, {key: text}, {key: limit})
            limit = FINITE
        values[key] = _value(owner, key, text, defaults[key], limit)
    return values


class Configurable(Registry):
    """A registry whose names may carry settings: the keyword arguments of a definition are its switches."""

    def build(self, text: str, *args: Any) -> Any:
        """Return what the definition makes of `args` and its settings; `UsageError` where unknown."""
        name, given = self._parse(text)
        return self[name](*args, **given)

    def trait(self, text: str, trait: str) -> Any:
        """Return a trait; one that is a function is asked with all switches."""
        name, given = self._parse(text)
        value = self[name].traits.get(trait)
        return value(**self.switches(name) | given) if callable(value) else value

    def switches(self, name: str) -> dict[str, object]:
        """Return the switches of a definition with their defaults."""
        parameters = inspect.signature(self[name].make).parameters.values()
        return {p.name: p.default for p in parameters if isinstance(p.default, bool | int | float | str)}

    def limits(self, name: str) -> dict[str, Range | tuple[str, ...]]:
        """Return what switches take, for those whose type says it."""
        return limits_of(self[name].make)

    def canonical(self, text: str) -> str:
        """Return the one name: switches in order, defaults left out; `UsageError` where unknown."""
        name, given = self._parse(text)
        defaults = self.switches(name)
        return join(name, {key: value for key, value in given.items() if value != defaults[key]})

    def version(self, text: str) -> int | str:
        """Return the version of the definition."""
        return self[self._parse(text)[0]].version

    def _parse(self, text: str) -> tuple[str, dict[str, object]]:
        name, given = split(text)
        return name, typed(f"the {self.kind} '{name}'", given, self.switches(name), self.limits(name))


def _value(owner: str, key: str, text: str, default: object, limit: Range) -> object:
    if isinstance(default, bool):
        if text not in ("yes", "no"):
            raise UsageError(f"{owner}: {key} is yes or no. Received: '{text}'")
        return text == "yes"
    if isinstance(default, str):
        return text
    kind: Any = type(default)
    if limit == FINITE:
        limit = WHOLE if kind is int else FINITE
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    _check_number(owner, key, number, limit, f"'{text}'")
    return number


def _check_number(owner: str, key: str, value: object, limit: Range, received: str) -> None:
    kind = numbers.Integral if limit.whole else numbers.Real
    if not isinstance(value, kind) or isinstance(value, bool) or not limit.holds(value):  # type: ignore[arg-type]
        raise UsageError(f"{owner}: {key} wants {limit.wanted}. Received: {received}")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
