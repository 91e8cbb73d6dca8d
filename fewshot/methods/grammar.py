"""From the name of a method to its learner: all that is registered is a method of every study."""

import dataclasses
import textwrap
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from types import MappingProxyType

from fewshot import settings
from fewshot.augment import offline as expand
from fewshot.augment import online
from fewshot.augment.grammar import FILE
from fewshot.augment.offline import expansions
from fewshot.backbones.features import PIXELS, parse
from fewshot.baselines import estimators
from fewshot.baselines.numpy_net import nets
from fewshot.errors import unknown
from fewshot.learners.contract import Learner, wrappers
from fewshot.learners.estimator import EstimatorLearner
from fewshot.learners.keras_network import KerasLearner
from fewshot.learners.numpy_network import NumpyLearner
from fewshot.methods import plugins
from fewshot.models import networks
from fewshot.training.recipe import SETTINGS, Recipe, recipes

ONLINE = "online:"
IMAGENET = "imagenet/"
FIELDS = {name: value for name, value in asdict(Recipe()).items() if name != "updates"}
NAMES = {name: setting.choices for name, setting in SETTINGS.items() if setting.choices is not None}


def learner(
    name: str, training: Mapping[str, object], own: Mapping[str, str] = MappingProxyType({})
) -> Learner:
    """Return the learner that `name` stands for; `UsageError` for an unknown one.

    own: the study's own names and what they stand for. Then come networks (`resnet18:recipe=best`), those
    in NumPy (`numpy-fc3:init=xavier`), estimators (`ridge:alpha=100`), heads on frozen backbones
    (`imagenet/resnet50@160:head=ridge`), online policies (`online:flip`) and expansions (`flip+rotation`).
    training: the recipe's fields that the command line sets.
    """
    plugins.load_installed()
    if name.startswith(ONLINE):
        policy = name.removeprefix(ONLINE)
        online.versions(policy)  # raises for an unknown one
        return KerasLearner(recipe=Recipe(policy=policy, **training))
    head = name.partition(":")[0]
    if head.startswith(IMAGENET) or any(head in known for known in (own, networks, nets, estimators)):
        return _with_settings(name, training, own)
    if head in expansions or name.startswith(FILE) or set("+(") & set(name):
        return KerasLearner(recipe=Recipe(**training), expansion=expand.canonical(name))
    raise unknown("method", head, dict.fromkeys([*own, *expansions, *networks, *nets, *estimators]))


def _with_settings(name: str, training: Mapping[str, object], own: Mapping[str, str]) -> Learner:
    method, given = settings.split(name)
    target, fixed = settings.split(own.get(method, method))
    given = fixed | given
    for name in wrappers:
        if name in given:
            settings_of_wrapper = {key: given.pop(key) for key in wrapper_settings(name) if key in given}
            base = _with_settings(settings.join(target, given), training, {})
            choices = wrappers[name].traits.get("choices", {})
            values = settings.typed(
                f"the method '{method}'", settings_of_wrapper, wrapper_settings(name), choices
            )
            return wrappers[name](base, **values)
    if not target.startswith(IMAGENET):
        return _trained(method, target, given, training)
    weights = {"weights": given.pop("weights")} if "weights" in given else {}
    features = settings.join(target.removeprefix(IMAGENET), weights)
    parse(features)  # raises for an unknown backbone
    return _trained(method, given.pop("head", "logistic"), given, training, features)


def _trained(
    method: str, target: str, given: dict[str, str], training: Mapping[str, object], features: str = PIXELS
) -> Learner:
    """Return the learner of a network or an estimator with settings; without a recipe, the report's."""
    known = next((known for known in (estimators, networks, nets) if target in known), None)
    if known is None or (known is nets and features != PIXELS):
        raise unknown("head", target, [*heads(), *estimators])
    own, common, choices = known.switches(target), {"mirror": False}, known.choices(target)
    if known is not estimators:
        common, choices = FIELDS, choices | NAMES
        recipe = recipes[given.pop("recipe", "report")]()
    expansion = expand.canonical(given.pop("expansion", "none"))
    values = settings.typed(f"the method '{method}'", given, own | common, choices)
    fields = {key: value for key, value in values.items() if key in common}
    text = settings.join(target, {key: value for key, value in values.items() if key in own})
    if known is estimators:
        return EstimatorLearner(estimators.canonical(text), expansion, features, **fields)
    online.versions(fields.get("policy", recipe.policy))  # raises for an unknown one
    recipe = replace(recipe, **fields | dict(training))
    if known is nets:
        return NumpyLearner(nets.canonical(text), recipe, expansion)
    return KerasLearner(text, recipe, expansion, features)


def specification(name: str, own: Mapping[str, str]) -> str:
    """Return what a name of the study stands for, or the name itself."""
    return own.get(settings.split(name)[0], name)


def wrapper_settings(name: str) -> dict[str, object]:
    """Return the settings of a wrapper with their defaults."""
    fields = dataclasses.fields(wrappers[name].make)
    return {field.name: field.default for field in fields if field.name != "base"}


def heads() -> list[str]:
    """Return the networks that take features."""
    return [name for name in networks if networks[name].traits.get("rows")]


def notes(listed: Collection[str]) -> str:
    """Return what the help of every study says of further methods, beside those that it lists."""
    plugins.load_installed()
    fields = ", ".join(FIELDS)
    wrapped = f"\n{' ' * 8}".join(
        f"NAME:{name}=…   {wrappers[name].summary}\n{' ' * 12}{', '.join(wrapper_settings(name))}"
        for name in wrappers
    )
    more = ", ".join(name for name in (*expansions, *networks, *nets, *estimators) if name not in listed)
    return textwrap.dedent(f"""
        further methods, in every study:
        {textwrap.fill(more, 100, subsequent_indent=" " * 8, break_on_hyphens=False)}

        NAME:setting=value,…   a network with other switches, or trained otherwise
            switches of the baseline: {", ".join(networks.switches("baseline"))}
            of those in NumPy: {", ".join(nets.switches("numpy-conv32"))} (of convolutions)
            of every recipe: {fields}
            recipe=NAME: {", ".join(recipes)}; expansion=EXPRESSION: flip, crop, …
        imagenet/BACKBONE@SIZE+BACKBONE…:head=NAME,…   a head on frozen features
        {wrapped}
        """).replace("\n", "\n  ")
