"""From whatever a method is given as to its learner: the one door, for the command line and for Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from types import MappingProxyType

from fewshot.errors import UsageError
from fewshot.identity import origin_of
from fewshot.learners.contract import Learner, Wrapper, check_settings, ensembles, learners
from fewshot.learners.estimator import GivenEstimatorLearner
from fewshot.learners.keras_network import KerasLearner
from fewshot.methods.specification import named
from fewshot.models import networks
from fewshot.registry import Registry

KINDS = (
    "a method is a name, a learner, a scikit-learn estimator, or a function (shape, outputs) that returns a "
    "new keras.Model"
)


def resolve(
    method: str | Learner | Callable | object, training: Mapping[str, object] = MappingProxyType({})
) -> tuple[str, Learner]:
    """Return the name of a method, as tables show it, and its learner.

    method: a name or specification; a learner; a scikit-learn estimator, which is cloned for every task; or
    a function (shape, outputs) → `keras.Model`, which is registered as a network under its name. What is
    defined in a notebook or a script is identified by its source.
    training: fields of every recipe that whoever runs the method sets, such as {"epochs": 5}.

    Raises `UsageError` for what is none of these, and for names, settings and values that are unknown.
    """
    if isinstance(method, str):
        name, specification = named(method)
        return name, specification.learner(training)
    if isinstance(method, Learner):
        name = _learner_name(method)  # of no dataclass there are no settings to check
        check_settings(method)
        return name, method.with_training(training)
    if isinstance(method, type):
        raise UsageError(f"{method.__name__} is a class: give an object, {method.__name__}(…). {KINDS}")
    if hasattr(method, "fit") and hasattr(method, "get_params"):
        return type(method).__name__, GivenEstimatorLearner(method)
    if callable(method) and hasattr(method, "__code__"):
        name = _network_name(method)
        return name, KerasLearner(name).with_training(training)
    raise UsageError(f"{KINDS}. Received: {method!r}")


def _learner_name(learner: Learner) -> str:
    """Return the name of a learner's class; a user's is registered, so that worker processes know it."""
    kind = type(learner)
    if isinstance(learner, Wrapper):
        return f"{_learner_name(learner.base)} {kind.__name__}"
    if ensemble := next((name for name in ensembles if ensembles[name].make is kind), None):
        return f"{ensemble}({', '.join(map(_learner_name, learner.parts()))})"
    if not is_dataclass(kind) or "__dataclass_fields__" not in vars(kind):
        raise UsageError(f"{kind.__name__} is no dataclass: its fields tell records of one kind apart")
    registered = next((name for name in learners if learners[name].make is kind), None)
    if registered:
        return registered
    if origin_of(kind) is not None:
        _register(learners, kind.__name__, kind)
    return kind.__name__


def _network_name(build: Callable) -> str:
    """Return the name of a network's function, under which it is registered from now on."""
    registered = next((name for name in networks if networks[name].make is build), None)
    if registered:
        return registered
    if not build.__name__.isidentifier():
        raise UsageError("a network without a name: define a function, def my_network(shape, outputs)")
    _register(networks, build.__name__, build)
    return build.__name__


def _register(registry: Registry, name: str, make: Callable) -> None:
    try:
        registry.register(name)(make)
    except ValueError as error:
        raise UsageError(f"{error}: rename yours") from error
