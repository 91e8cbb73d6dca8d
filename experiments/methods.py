"""From the name of a method to its learner: all that is registered is a method of every study."""

import textwrap
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from types import MappingProxyType

from fewshot import settings
from fewshot.augment import expand, online
from fewshot.augment.expand import expansions
from fewshot.augment.grammar import FILE
from fewshot.baselines import estimators
from fewshot.errors import unknown
from fewshot.learner import EstimatorLearner, KerasLearner, Learner
from fewshot.models import networks
from fewshot.recipe import Recipe, recipes, schedules

ONLINE = "online:"
FIELDS = {name: value for name, value in asdict(Recipe()).items() if name != "updates"}
NAMES = {"schedule": schedules}


def learner(
    name: str, training: Mapping[str, object], own: Mapping[str, str] = MappingProxyType({})
) -> Learner:
    """Return the learner that `name` stands for; `UsageError` for an unknown one.

    own: the study's own names and what they stand for. Then come networks (`resnet18:recipe=best`),
    estimators (`ridge:alpha=100`), online policies (`online:flip`) and expansions (`flip+rotation`).
    training: the recipe's fields that the command line sets.
    """
    head = name.partition(":")[0]
    if head in own or head in networks:
        return _network(name, training, own)
    if head in estimators:
        return EstimatorLearner(estimators.canonical(name))
    if name.startswith(ONLINE):
        policy = name.removeprefix(ONLINE)
        online.versions(policy)  # raises for an unknown one
        return KerasLearner(recipe=Recipe(policy=policy, **training))
    if head in expansions or name.startswith(FILE) or set("+(") & set(name):
        return KerasLearner(recipe=Recipe(**training), expansion=expand.canonical(name))
    raise unknown("method", head, dict.fromkeys([*own, *expansions, *networks, *estimators]))


def notes(listed: Collection[str]) -> str:
    """Return what the help of every study says of further methods, beside those that it lists."""
    fields = ", ".join(FIELDS)
    more = ", ".join(name for name in (*expansions, *networks, *estimators) if name not in listed)
    return textwrap.dedent(f"""
        further methods, in every study:
        {textwrap.fill(more, 100, subsequent_indent=" " * 8, break_on_hyphens=False)}

        NAME:setting=value,…   a network with other switches, or trained otherwise
            switches of the baseline: {", ".join(networks.switches("baseline"))}
            of every recipe: {fields}
            recipe=NAME: {", ".join(recipes)}
        """).replace("\n", "\n  ")


def _network(name: str, training: Mapping[str, object], own: Mapping[str, str]) -> KerasLearner:
    method, given = settings.split(name)
    network, fixed = settings.split(own.get(method, method))
    recipe = recipes[given.pop("recipe", fixed.pop("recipe", "report"))]()
    switches = networks.switches(network)
    choices = networks.choices(network) | NAMES
    values = settings.typed(f"the method '{method}'", fixed | given, switches | FIELDS, choices)
    fields = {key: value for key, value in values.items() if key in FIELDS}
    text = settings.join(network, {key: value for key, value in values.items() if key in switches})
    online.versions(fields.get("policy", recipe.policy))  # raises for an unknown one
    return KerasLearner(text, replace(recipe, **fields | dict(training)))
