"""A group of methods in plain language: who leads, by how much, and what is not distinguishable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fewshot.report.groups import Group, days
from fewshot.report.table import interval, mean_std, p_value
from fewshot.stats.comparison import (
    DIFFERENCES,
    MethodResult,
    Paired,
    holm,
    least_p,
    paired,
    photos_of,
    summary,
)
from fewshot.wording import plural

LEVEL = 0.05
LISTED = 4  # names in a sentence
READING = (
    "Every seed draws a task, the same for all methods of a group. The spread (±, the standard deviation "
    "over tasks) is how unequal the tasks are; so methods are compared task by task: Δ is the mean paired "
    "difference to the baseline with its 95 % interval, p a two-sided Wilcoxon signed-rank test after Holm's "
    "correction, wins the tasks on which the method is strictly better. The method that leads was found on "
    "the very tasks it is reported on, which flatters it a little."
)

OTHER = "Recorded on {days}, and part of no verdict and of no study as it was last run."


class Name(str):
    """A method's name inside a sentence: a page sets it apart, and no part of it is markup."""


Sentence = list[str]  # parts of it, some of them names
Scores = dict[int, float]  # seed → accuracy


def leader(group: Group) -> MethodResult | None:
    """Return the method with the highest mean; None where no trial succeeded.

    Only methods measured on as many tasks as any other can lead: the mean of fewer is of other tasks.
    """
    measured = [result for result in group.results if result.n]
    most = max((result.n for result in measured), default=0)
    return max((r for r in measured if r.n == most), key=lambda result: result.mean, default=None)


def summarise(group: Group) -> list[Sentence]:
    """Return what a group shows, a sentence each, the most important first."""
    best = leader(group)
    failed = sum(result.failed for result in group.results)
    which = [] if group.study else [[OTHER.format(days=days(group.records))]]
    if best is None:
        return [*which, ["No trial succeeded."]]
    sentences = [*which, _leading(group, best)]
    if best.n == 1:
        sentences.append(["One task only: nothing is known of the spread, and no difference is tested."])
    elif len(group.results) > 1:
        sentences += [*_rivals(group, best), *_verdicts(group), *_how(group)]
    if failed:
        sentences.append([f"{plural(failed, 'trial')} failed and {_s(failed, 'enters', 'enter')} no mean."])
    return sentences


def differs(delta: Paired, least: float) -> bool:
    """Say whether a paired difference is distinguishable from zero.

    By its corrected p; where so few tasks and so many methods cannot reach .05 at all (`least`), by its
    interval: 29 methods on 10 tasks would all be "not distinguishable", whatever their lead.
    """
    if least <= LEVEL:
        return delta.p <= LEVEL
    return bool(delta.ci95) and not delta.ci95[0] <= 0 <= delta.ci95[1]


def _least(group: Group) -> float:
    """Return the least p that the group's comparisons with its baseline can reach."""
    tested = [r.delta for r in group.results if r.delta and r.delta.p is not None]
    return least_p(max((delta.n for delta in tested), default=0), len(tested))


def _leading(group: Group, best: MethodResult) -> Sentence:
    metric, over = best.metric.replace("_", " "), plural(best.n, "task")
    if len(group.results) == 1:
        return [Name(best.method), f" reaches {mean_std(best)} % {metric} over {over}."]
    lead = [Name(best.method), f" leads with {mean_std(best)} % {metric} over {over}"]
    if best.delta is None:
        return [*lead, ": it is the baseline; no method with as many tasks is better on average."]
    if best.delta.mean is None:
        return [*lead, "; it shares no task with ", *_baseline(group), "."]
    lead += [f", {best.delta.mean:+.2f} points against ", *_baseline(group)]
    if best.delta.ci95 is None:
        return [*lead, f": too few to say on {plural(best.delta.n, 'task')}."]
    least = _least(group)
    judgement = f"a {_clear(least)} difference"
    if not differs(best.delta, least):
        judgement = "on these tasks, it is not distinguishable from zero"
    return [*lead, f" (95 % interval {interval(best.delta.ci95, '+.1f')}, {_p(best.delta.p)}): {judgement}."]


def _rivals(group: Group, best: MethodResult) -> list[Sentence]:
    """Compare the leader with all methods but the baseline, of which the first sentence tells."""
    scores = {result.method: _scores(result) for result in group.results}
    rivals = [r for r in group.results if r is not best and r.delta is not None and r.n > 1]
    least = max(_least(group), least_p(best.n, len(rivals)))  # one group, one way of judging
    adverb = "clearly" if _clear(least) == "clear" else "likely"
    others = _against(best, [rival.method for rival in rivals], scores, least)
    if not others:
        return []
    alike = [method for method, delta in others.items() if not differs(delta, least)]
    alike.sort(key=lambda method: -others[method].mean)
    worse = len(others) - len(alike)
    if not alike:
        others_in_words = _s(worse, "the other method", f"all {worse} other methods")
        return [[f"{adverb.capitalize()} better than {others_in_words}."]]
    rest = f"; {plural(worse, 'method')} {_s(worse, 'is', 'are')} {adverb} worse." if worse else "."
    return [["Not distinguishable from it: ", *_names(alike), rest]]


def _against(
    best: MethodResult, methods: list[str], scores: Mapping[str, Scores], least: float
) -> dict[str, Paired]:
    """Return each method minus the best; without p, which takes its time, where it decides nothing."""
    leading = scores[best.method]
    photos = {method: photos_of(best.records, scores[method]) for method in methods}
    if least > LEVEL:
        others = {}
        for method in methods:
            shared = scores[method].keys() & leading.keys()
            s = summary(
                (scores[method][seed] - leading[seed] for seed in shared), DIFFERENCES, photos[method]
            )
            others[method] = Paired(s.n, s.mean, s.std, s.ci95, None, 0)
        return {method: delta for method, delta in others.items() if delta.ci95}
    others = {method: paired(scores[method], leading, photos[method]) for method in methods}
    others = {method: delta for method, delta in others.items() if delta.p is not None}
    corrected = holm([delta.p for delta in others.values()])
    return {m: replace(delta, p=p) for (m, delta), p in zip(others.items(), corrected, strict=True)}


def _verdicts(group: Group) -> list[Sentence]:
    """Say which methods differ from the baseline."""
    tested = [result for result in group.results if result.delta and result.delta.p is not None]
    if len(tested) < 2:
        return []
    least = _least(group)
    distinguishable = sorted((r for r in tested if differs(r.delta, least)), key=lambda r: -r.delta.mean)
    unclear = len(tested) - len(distinguishable)
    if not distinguishable:
        return [[f"None of the {unclear} methods is distinguishable from ", *_baseline(group), "."]]
    adverb = "" if least <= LEVEL else "likely "
    better, worse = (
        [r.method for r in distinguishable if (r.delta.mean > 0) == wanted] for wanted in (True, False)
    )
    parts = [[f"{adverb}better ", *_names(better)]] if better else []
    parts += [[f"{adverb}worse ", *_names(worse)]] if worse else []
    parts += [[f"{unclear} not distinguishable from it"]] if unclear else []
    first, *others = parts
    return [
        [
            "Against ",
            *_baseline(group),
            ": ",
            *first,
            *(text for part in others for text in ("; ", *part)),
            ".",
        ]
    ]


def _how(group: Group) -> list[Sentence]:
    least = _least(group)
    if least <= LEVEL:
        return []
    tested = sum(bool(r.delta and r.delta.p is not None) for r in group.results)
    most = plural(max(r.n for r in group.results), "task")
    return [
        [
            f"“Likely” goes by 95 % intervals, not corrected for the number of methods: with "
            f"{plural(tested, 'method')} on {most} no corrected p can be below {least:.2g}."
        ]
    ]


def _clear(least: float) -> str:
    """Return how sure a difference is that is distinguishable from zero, in a word."""
    return "clear" if least <= LEVEL else "likely"


def _scores(result: MethodResult) -> Scores:
    return {r.seed: getattr(r, result.metric) for r in result.records if r.ok}


def _baseline(group: Group) -> Sentence:
    name = Name(group.baseline)
    return ["the ", name] if name == "baseline" else ["the baseline ", name]


def _names(methods: list[str]) -> Sentence:
    parts = []
    for method in methods[:LISTED]:
        parts += [", ", Name(method)]
    more = len(methods) - LISTED
    return parts[1:] + ([f" and {more} more"] if more > 0 else [])


def _s(count: int, singular: str, several: str) -> str:
    return singular if count == 1 else several


def _p(p: float) -> str:
    text = p_value(p)
    return f"p {text[0]} {text[1:]}" if text.startswith("<") else f"p = {text}"
