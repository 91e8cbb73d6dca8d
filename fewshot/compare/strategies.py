"""The strategies: which methods a comparison tries, and about how long a trial of each takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from fewshot.learners.contract import Learner
from fewshot.methods.catalogue import Method
from fewshot.methods.catalogue import methods as catalogue
from fewshot.methods.resolve import resolve

UNKNOWN_COST = 10.0  # seconds of a trial on one core, as a guess before the first is measured


@dataclass(frozen=True)
class Strategy:
    """A method as a comparison tries it.

    Parameters
    ----------
    name
        As the table shows it.
    learner
        What is trained.
    cost
        Seconds of one trial on one core, as a guess before the first is measured.
    """

    name: str
    learner: Learner
    cost: float = UNKNOWN_COST


def strategies(methods: Sequence[object] | None = None) -> list[Strategy]:
    """Return methods as strategies, each once.

    Parameters
    ----------
    methods
        Names, or whatever `fewshot.methods.resolve.resolve` takes; None for the usual ones.

    Raises
    ------
    UsageError
        For what is no method.
    """
    if methods is None:
        methods = [method.name for method in usual_methods()]
    learners = dict(map(resolve, methods))
    return [Strategy(name, learner, cost_of(name)) for name, learner in learners.items()]


def usual_methods() -> list[Method]:
    """Return the methods that are compared where none are named, cheapest first."""
    return sorted(catalogue.tagged("compare"), key=lambda method: method.cost_seconds or UNKNOWN_COST)


def cost_of(name: str) -> float:
    """Return the cost of a method, or of the one whose settings it changes."""
    known = next((text for text in (name, name.partition(":")[0]) if text in catalogue), None)
    return (catalogue[known].cost_seconds if known else None) or UNKNOWN_COST
