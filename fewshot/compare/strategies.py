"""The strategies: which methods a comparison tries, and about how long a trial of each takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from fewshot.learners.contract import Learner
from fewshot.methods.grammar import learner

# A cost is the seconds of one trial on one core, as a guess before the first is measured.
STRATEGIES = {
    "lite": ("imagenet/efficientnet-lite0@160:head=logistic", 2),
    "lite-ridge": ("imagenet/efficientnet-lite0@160:head=ridge", 2),
    "two-backbones": ("imagenet/efficientnet-lite0@224+resnet50@160:head=ridge", 8),
    "ridge": ("ridge", 1),
    "k-nn": ("knn:k=3,distance=cosine,scale=zscore-scalar", 1),
    "baseline": ("baseline", 3),
    "patches": ("patches", 3),
    "strong": ("baseline:policy=strong,epochs=500", 10),
    "lite-tuned": ("tuned:size=96,recipe=report,epochs=20,batch=10,learning_rate=0.001", 30),
    "best": ("compact:recipe=best", 80),
    "synthetic": ("baseline:synthetic=1000,keep=agree,epochs=30", 150),
}
UNKNOWN_COST = 10.0


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


def strategies(methods: Sequence[str] | None = None) -> list[Strategy]:
    """Return the strategies of these names, each once; all of them for None.

    Raises
    ------
    UsageError
        For a name that is no method.
    """
    named = {}
    for name in methods or STRATEGIES:
        specification, cost = STRATEGIES.get(name, (name, UNKNOWN_COST))
        named[name] = Strategy(name, learner(specification, {}), cost)
    return list(named.values())
