"""Settings in a name: `baseline:norm=batch,width=32` is `baseline` with two of its settings changed.

Networks take their switches so, methods their recipe's fields, too.
"""

import inspect
from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fewshot.errors import UsageError, unknown
from fewshot.registry import Registry

# What settings were called before, in texts that users have: understood wherever nothing has the old name.
ALIASES = {
    "policy": "online",
    "expansion": "offline",
    "members": "ensemble_size",
    "mirror": "tta_flip",
    "pace": "lr_scale",
}


def split(text: str) -> tuple[str, dict[str, str]]:
    """Return the name and the settings (a flag alone, `se`, is `se=yes`); `UsageError` for a torn one."""
    name, colon, rest = text.partition(":")
    settings = {}
    for part in rest.split(",") if colon else []:
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
    choices: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> dict[str, object]:
    """Return the settings with the types of their defaults; `UsageError` for an unknown or unfit one.

    owner: whose settings they are, for messages. choices: the names that a setting is one of.
    """
    values = {}
    for given, text in settings.items():
        key = current_name(given, defaults)
        if key in values:
            raise UsageError(f"{owner}: {given} and {key} are the same setting")
        if key not in defaults:
            raise unknown(f"setting of {owner}", key, defaults)
        if key in choices and text not in choices[key]:
            raise unknown(f"{key} of {owner}", text, choices[key])
        values[key] = _value(owner, key, text, defaults[key])
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

    def choices(self, name: str) -> dict[str, tuple[str, ...]]:
        """Return the values that switches take, for those whose type is a `Literal`."""
        try:
            hints = get_type_hints(self[name].make)
        except (NameError, TypeError):  # names that only a type checker knows; no function
            return {}
        return {switch: get_args(kind) for switch, kind in hints.items() if get_origin(kind) is Literal}

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
        return name, typed(f"the {self.kind} '{name}'", given, self.switches(name), self.choices(name))


def _value(owner: str, key: str, text: str, default: object) -> object:
    if isinstance(default, bool):
        if text not in ("yes", "no"):
            raise UsageError(f"{owner}: {key} is yes or no. Received: '{text}'")
        return text == "yes"
    if isinstance(default, str):
        return text
    kind: Any = type(default)
    try:
        return kind(text)
    except ValueError as error:
        wanted = "a whole number" if kind is int else "a number"
        raise UsageError(f"{owner}: {key} wants {wanted}. Received: '{text}'") from error


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
