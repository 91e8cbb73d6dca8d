"""Specifications: what the text of a method says, parsed once, typed, and printed in one way.

`parse("bn:online=flip+cutout,epochs=200")` is the network `baseline` with its switch `norm` set, trained by
the recipe `report` with two fields changed. The grammar is in `docs/guides/methods.md`. Every setting belongs
to one owner: the network's switches, the recipe's fields, the learner's, or a wrapper's. A name that two of
them have is refused where it is used.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fewshot import settings
from fewshot.augment import offline, online
from fewshot.augment.grammar import FILE
from fewshot.augment.offline import expansions
from fewshot.backbones import backbones
from fewshot.backbones.features import PIXELS
from fewshot.backbones.features import parse as parse_features
from fewshot.backbones.hub import POOLS
from fewshot.baselines import estimators
from fewshot.baselines.numpy_net import nets
from fewshot.errors import UsageError, unknown
from fewshot.learners.contract import Learner, ensembles, learners, settings_of, wrappers
from fewshot.learners.estimator import EstimatorLearner
from fewshot.learners.keras_network import KerasLearner
from fewshot.learners.mean import MeanLearner  # noqa: F401  (registered by its definition)
from fewshot.learners.numpy_network import NumpyLearner
from fewshot.methods import ensemble, plugins
from fewshot.methods.catalogue import methods
from fewshot.methods.heads import ONLINE, registry_of
from fewshot.models import networks
from fewshot.training.recipe import SETTINGS, Recipe, recipes

IMAGENET = "imagenet/"
NETWORK = "baseline"  # what augmentations train where no network is named
HEAD = "logistic"  # on frozen features, where none is named
RECIPE = "report"

FIELDS = dataclasses.asdict(Recipe()) | {"updates": 0}  # of every recipe; the type of each is its default's
CHOICES = {name: setting.choices for name, setting in SETTINGS.items() if setting.choices is not None}

Settings = tuple[tuple[str, object], ...]

_EXPRESSION = re.compile(rf"((?:{FILE}.+?\.(?:ya?ml|json)(?=\s*(?:[+):]|$))|[^:])*)(?::(.*))?", re.I | re.S)


@dataclass(frozen=True)
class Wrapping:
    """A wrapper with its settings, the one of its own name always among them."""

    name: str
    settings: Settings


@dataclass(frozen=True)
class Specification:
    """A method, typed. Settings at their defaults are left out, so that equal methods are equal.

    head: the registered network, NumPy network, estimator or learner. switches: its own settings.
    recipe: the name of the recipe, None where nothing is trained by one. training: its fields that differ.
    features: what the head sees, pixels or backbones' features. offline: the expression of offline
    augmentation. tta_flip: of an estimator; a network's is its recipe's. wrappers: from the inside out.
    """

    head: str
    switches: Settings = ()
    recipe: str | None = None
    training: Settings = ()
    features: str = PIXELS
    offline: str = "none"
    tta_flip: bool = False
    wrappers: tuple[Wrapping, ...] = ()
    members: tuple[Specification, ...] = ()
    weights: tuple[float, ...] = ()

    def __str__(self) -> str:
        """Return the one text that `parse` reads as this."""
        values = dict(self.switches) | dict(self.training)
        if self.recipe not in (None, RECIPE):
            values["recipe"] = self.recipe
        if self.offline != "none":
            values["offline"] = self.offline
        if self.tta_flip:
            values["tta_flip"] = True
        for wrapping in self.wrappers:
            values |= dict(wrapping.settings)
        if self.members:
            return settings.join(ensemble.written(self.head, self.members, self.weights), values)
        if self.features == PIXELS:
            return settings.join(self.head, values)
        backbones, given = settings.split(self.features)
        return settings.join(IMAGENET + backbones, values | given | {"head": self.head})

    def learner(self, training: Mapping[str, object] = MappingProxyType({})) -> Learner:
        """Return the learner. training: fields of the recipe that whoever runs it sets for all methods."""
        learner = self._unwrapped()
        for wrapping in self.wrappers:
            learner = wrappers[wrapping.name](learner, **dict(wrapping.settings))
        return learner.with_training(training)

    def _unwrapped(self) -> Learner:
        if self.members:
            members = tuple(member.learner() for member in self.members)
            return ensembles[self.head](members, self.weights, **dict(self.switches))
        registry, text = registry_of(self.head), settings.join(self.head, dict(self.switches))
        if registry is estimators:
            return EstimatorLearner(text, self.offline, self.features, self.tta_flip)
        if registry is learners:
            return learners[self.head](**dict(self.switches))
        assert self.recipe is not None  # what trains networks has one
        recipe = dataclasses.replace(recipes[self.recipe](), **dict(self.training))
        if registry is nets:
            return NumpyLearner(text, recipe, self.offline)
        return KerasLearner(text, recipe, self.offline, self.features)


def parse(text: str) -> Specification:
    """Return what the text of a method stands for.

    Raises `UsageError` for a name, setting or value that is unknown, with the nearest one; for a setting that
    two owners have; with a caret where an expression of offline augmentation is wrong.
    """
    return _specification(_read(text))


def canonical_name(text: str) -> str:
    """Return a method's name as tables show it: as it was written, old names replaced by today's."""
    return _read(text).name


def named(text: str) -> tuple[str, Specification]:
    """Return a method's canonical name and its specification."""
    read = _read(text)
    return read.name, _specification(read)


def changed(text: str, /, **values: object) -> str:
    """Return the name of a method with some settings changed or added, settings in alphabetical order."""
    read = _read(text)
    return settings.join(read.shown, {**read.written, **values}, read.mark)


def members_of(text: str) -> list[str]:
    """Return the names of an ensemble's members; none of another method, or of what is no method."""
    try:
        return [member.name for member in _read(text).members]
    except UsageError:
        return []


def setting_names(text: str) -> list[str]:
    """Return the settings that a method takes."""
    return [name for owner in _owners(_read(text)) for name in owner.defaults]


def feature_heads() -> list[str]:
    """Return the networks that take features."""
    return [name for name in networks if networks[name].traits.get("rows")]


@dataclass(frozen=True)
class _Text:
    """A method's text, taken apart and not yet typed, old names replaced.

    name: as tables show it: `shown`, `mark` and the settings as they are written. given: setting → value,
    those included that the name stands for. features: the backbones, where the head is on some. members: of
    an ensemble, with its weights.
    """

    head: str
    given: Mapping[str, str]
    features: str = ""
    name: str = ""
    shown: str = ""
    mark: str = ":"
    written: Mapping[str, str] = dataclasses.field(default_factory=dict)
    members: tuple[_Text, ...] = ()
    weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Owner:
    """Who a setting belongs to: `part` is the field of `Specification`, or a wrapper's name."""

    part: str
    words: str
    defaults: Mapping[str, object]
    limits: settings.Limits


def _read(text: str, within: tuple[str, ...] = ()) -> _Text:
    """Return the head of a text and its settings, those that its name stands for included.

    within: the names of the catalogue and the ensembles that it is a part of.
    """
    plugins.load_installed()
    text = text.strip()
    if ensemble.name_of(text):
        return _read_ensemble(text, within)
    if text.startswith(ONLINE):
        policies, _, rest = text.removeprefix(ONLINE).partition(",")
        return _renamed(
            text, NETWORK, {"online": policies}, f":{rest}" if rest else "", ONLINE + policies, ","
        )
    head, rest = settings.cut(text)
    head = methods.current_name(head)
    if head in methods.specifications:
        if head in within:
            raise UsageError(f"the method '{head}' is made of itself")
        base = _read(methods.specifications[head], (*within, head))
        return _renamed(
            text, base.head, base.given, rest, head, ":", base.features, base.members, base.weights
        )
    if head.startswith(IMAGENET):
        if head == IMAGENET:
            raise unknown("backbone", "", backbones)
        _, given = settings.split(text)
        return _renamed(text, given.get("head", HEAD), {}, rest, head, ":", head.removeprefix(IMAGENET))
    if registry_of(head):
        return _renamed(text, head, {}, rest, head, ":")
    if head in expansions or FILE in text or set("+(") & set(head):
        parts = _EXPRESSION.fullmatch(text)
        assert parts is not None  # any text is an expression and a rest
        expression, rest = parts.groups()
        expression = offline.canonical(text if f"{expression}:".endswith(FILE) else expression)
        rest = f":{rest}" if rest else ""
        return _renamed(text, NETWORK, {"offline": expression}, rest, expression, ":")
    if head in ensembles:
        raise UsageError(f"'{head}' is an ensemble, and wants members: {head}(best, patches)")
    raise unknown("method", head, dict.fromkeys([*methods, *methods.aliases]))


def _read_ensemble(text: str, within: tuple[str, ...]) -> _Text:
    """Return an ensemble's members, weights and settings; what is wrong has a caret under it."""
    parts = ensemble.parse(text, setting_names)
    read: list[_Text] = []
    for member in parts.members:
        with member.blamed(text):
            if within.count(ensemble.INSIDE) >= ensemble.DEEPEST:
                raise UsageError(f"ensembles of ensembles: nested deeper than {ensemble.DEEPEST + 1} levels")
            read.append(_read(member.text, (*within, ensemble.INSIDE)))
            if _specification(read[-1]) in map(_specification, read[:-1]):
                raise UsageError("the same member stands there twice: give it more weight instead")
    shown = ensemble.written(parts.name, [member.name for member in read], parts.weights)
    return _renamed(text, parts.name, {}, parts.rest, shown, ":", "", tuple(read), parts.weights)


def _renamed(
    text: str,
    head: str,
    fixed: Mapping[str, str],
    rest: str,
    shown: str,
    mark: str,
    features: str = "",
    members: tuple[_Text, ...] = (),
    weights: tuple[float, ...] = (),
) -> _Text:
    """Return the parts of a text with the settings in `rest` over those that are fixed, by today's names.

    shown: the head as tables show it. mark: what stands between it and the settings.
    """
    _, written = settings.split(f"{settings.cut(text)[0]}{rest}")
    head = written.get("head", head) if features else head
    taken = _Text(head, {**fixed, **written}, features, members=members)
    known = {name for owner in _owners(taken) for name in owner.defaults}
    today = {key: settings.current_name(key, known) for key in written}
    if len(set(today.values())) < len(today):
        raise UsageError(f"'{text}' sets {', '.join(today)}: two of these are one setting")
    parts = [_part(today[part.strip().partition("=")[0]], part) for part in rest[1:].split(",") if rest]
    name = f"{shown}{mark}{','.join(parts)}" if parts else shown
    written = {today[key]: value for key, value in written.items()}
    return _Text(head, {**fixed, **written}, features, name, shown, mark, written, members, weights)


def _part(key: str, written: str) -> str:
    _, equals, value = written.strip().partition("=")
    return key + equals + value


def _owners(text: _Text) -> list[_Owner]:
    """Return who owns the settings of a method."""
    registry = ensembles if text.members else registry_of(text.head)
    if registry is None or (text.features and registry not in (networks, estimators)):
        raise unknown("head", text.head, [*feature_heads(), *estimators])
    active = [name for name in wrappers if name in text.given]
    owners, taken = [], {key for name in active for key in wrappers[name].traits.get("takes", ())}
    if registry in (learners, ensembles):
        described = f"a field of the {registry.kind} '{text.head}'"
        owners.append(_Owner("switches", described, *settings_of(registry[text.head].make)))
    else:
        described = f"a setting of the {registry.kind} '{text.head}'"
        assert isinstance(registry, settings.Configurable)  # as all but learners are
        owners.append(_Owner("switches", described, registry.switches(text.head), registry.limits(text.head)))
        owners.append(_Owner("offline", "the offline augmentation", {"offline": "none"}, {}))
    if registry in (networks, nets):
        owners.append(_Owner("recipe", "the recipe's name", {"recipe": RECIPE}, {}))
        owners.append(_Owner("training", "a field of the recipe", FIELDS, CHOICES))
    if registry is estimators:
        owners.append(_Owner("tta_flip", "the learner's views", {"tta_flip": False}, {}))
    if text.features:
        owners.append(
            _Owner("features", "the features", {"weights": "", "pool": "", "head": HEAD}, {"pool": POOLS})
        )
    owners = [
        dataclasses.replace(owner, defaults={k: v for k, v in owner.defaults.items() if k not in taken})
        if owner.part != "switches"
        else owner
        for owner in owners
    ]
    return owners + [
        _Owner(name, f"a setting of the wrapper '{name}'", *settings_of(wrappers[name].make))
        for name in active
    ]


def _specification(text: _Text) -> Specification:
    """Return the typed specification of a text."""
    owners = _owners(text)
    method = f"the ensemble '{text.head}'" if text.members else f"the method '{settings.cut(text.name)[0]}'"
    values: dict[str, dict[str, Any]] = {owner.part: {} for owner in owners}
    for key, value in text.given.items():
        having = [owner for owner in owners if key in owner.defaults]
        if not having:
            known = [name for owner in owners for name in owner.defaults]
            raise unknown(f"setting of {method}", key, [*known, *(w for w in wrappers if w not in known)])
        if len(having) > 1:
            both = " and ".join(owner.words for owner in having)
            raise UsageError(f"'{text.name}': {key} is both {both}: rename the one that is yours")
        owner = having[0]
        values[owner.part] |= settings.typed(method, {key: value}, owner.defaults, owner.limits)
        if key == "offline":
            values[owner.part][key] = offline.canonical(value)
        elif key == "online":
            online.versions(value)  # raises for an unknown one
    recipe = values.get("recipe", {}).get("recipe", RECIPE) if "recipe" in values else None
    usual = vars(recipes[recipe]()) if recipe else {}
    features = PIXELS
    if text.features:
        given = {key: value for key, value in values["features"].items() if key != "head"}
        features = settings.join(text.features, given)
        parse_features(features)  # raises for an unknown backbone
    switches = next(owner for owner in owners if owner.part == "switches")
    return Specification(
        head=text.head,
        switches=_changed(values["switches"], switches.defaults),
        recipe=recipe,
        training=_changed(values.get("training", {}), usual),
        features=features,
        offline=values.get("offline", {}).get("offline", "none"),
        tta_flip=values.get("tta_flip", {}).get("tta_flip", False),
        wrappers=tuple(
            Wrapping(owner.part, _changed(values[owner.part], {**owner.defaults, owner.part: None}))
            for owner in owners
            if owner.part in wrappers
        ),
        members=tuple(map(_specification, text.members)),
        weights=text.weights,
    )


def _changed(values: Mapping[str, object], defaults: Mapping[str, object]) -> Settings:
    """Return the values that differ from the defaults, in alphabetical order."""
    return tuple((key, values[key]) for key in sorted(values) if values[key] != defaults[key])


def published(text: str, protocol: str = "testbed") -> str | None:
    """Return what was published of the method that a text stands for, under whatever name it is known."""
    specification = parse(text)
    for method in methods.published_under(protocol):
        if parse(method.specification) == specification:
            return method.published[protocol]
    return None
