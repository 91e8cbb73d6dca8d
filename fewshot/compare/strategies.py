"""The strategies: which methods a comparison tries, in which order, and about how long a trial takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fewshot.backbones import hub
from fewshot.learners.contract import Learner
from fewshot.methods.catalogue import Method
from fewshot.methods.catalogue import methods as catalogue
from fewshot.methods.resolve import resolve
from fewshot.methods.specification import members_of
from fewshot.settings import cut

UNKNOWN_COST = 10.0  # seconds of a trial on one core, as a guess before the first is measured
HEAD_COST = 0.5  # of heads, once their features are there
# What time buys, in this order: with few images a frozen backbone is nearly always ahead, and its heads cost
# next to nothing once every image has been seen.
STAGES = ("classifiers on pretrained networks", "fine-tuning", "training from scratch")


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

    @property
    def stage(self) -> int:
        """The position of its stage in `STAGES`."""
        if self.learner.looks_at == "small":
            return 2
        return 0 if self.learner.shared() else 1


def strategies(methods: Sequence[object] | None = None) -> list[Strategy]:
    """Return methods as strategies, each once, in the order in which they run.

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
        methods = [method.name for method in (*catalogue.tagged("compare"), *_of_hub(fetched=True))]
    return in_order(dict(map(resolve, methods)))


def not_fetched() -> list[str]:
    """Return what the usual methods leave out, as its weights are not here, and what these cost."""
    methods = _of_hub(fetched=False)
    if not methods:
        return []
    costs = "; ".join(f"{method.name} ({hub.cost(method.name)})" for method in methods)
    return [f"not compared, as their weights are not here (to name one fetches them): {costs}"]


def _of_hub(fetched: bool) -> list[Method]:
    """Return the methods on KerasHub's backbones whose weights are here, or are not; none without it."""
    if not hub.installed():
        return []
    return [method for method in catalogue.tagged("hub") if hub.present(method.name) == fetched]


def in_order(learners: Mapping[str, Learner]) -> list[Strategy]:
    """Return learners as strategies: stage by stage, in each the cheapest first."""
    candidates = [Strategy(name, learner, cost_of(name)) for name, learner in learners.items()]
    candidates.sort(key=lambda strategy: (strategy.stage, strategy.cost))
    # The catalogue's costs contain the features; here these are counted apart.
    return [
        replace(one, cost=min(one.cost, HEAD_COST)) if one.learner.prepares_each_image else one
        for one in candidates
    ]


def usual_methods() -> list[Method]:
    """Return the methods that are compared where none are named, in the order in which they run."""
    return [catalogue[strategy.name] for strategy in strategies()]


def cost_of(name: str) -> float:
    """Return the cost of a method, or of the one whose settings it changes; of an ensemble, its members'."""
    if name not in catalogue and (members := members_of(name)):
        return sum(map(cost_of, members))
    known = next((text for text in (name, cut(name)[0]) if text in catalogue), None)
    return (catalogue[known].cost_seconds if known else None) or UNKNOWN_COST
