"""The verdict: what to use, what it will do, what is weak, what was not tried, and what to do next.

Sentences that somebody who knows photos, not statistics, reads once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fewshot.compare.answer import Answer
from fewshot.errors import field
from fewshot.report.comparison import Row
from fewshot.stats.intervals import Estimate
from fewshot.stats.learning_curve import Curve
from fewshot.stats.promise import Promise
from fewshot.wording import by_reason, plural

NAMED = 20  # classes that are named with their photos
FURTHER = 50  # photos of each class
GOAL = 95.0  # percent right, up to which more photos are worth thinking of
SURE = 90.0  # a class below it is weak …
UNEQUAL = 1.5  # times as many photos of a class as of another, from which that is worth a word
UNSURE = 15.0  # points above chance, from which more photos may show that it is not chance
BEHIND = 3.0  # … where it is so many points below the mean of all


def verdict(
    answer: Answer,
    classes: Mapping[str, int],
    curve: Curve | None,
    left_out: Mapping[str, str],
    tested: Estimate | None = None,
) -> list[str]:
    """Return the sentences.

    Parameters
    ----------
    answer
        Who won, and what it promises.
    classes
        Class → how many images it has.
    curve
        The winner's learning curve, where one was measured.
    left_out
        Strategy → why it was not tried, or not to the end.
    tested
        The winner's accuracy on images that stood apart until the end, where there were such.
    """
    if answer.winner is None:
        return [
            "Too few held-out photos to say what to use: give more time, or more photos.",
            *_left_out(left_out),
        ]
    if answer.promise is None:
        return [*_of_draws(answer), *_others(answer.rows), *_left_out(left_out)]
    told = answer.accuracy or answer.promise.expected
    natural = answer.promise.prior == "natural"
    chance = 100 * max(classes.values()) / sum(classes.values()) if natural else 100 / len(classes)
    lines = []
    if told.interval and told.interval[0] <= chance:
        what = (
            "Too few photos to be sure of anything: add some"
            if told.value > chance + UNSURE
            else "Nothing here tells these classes apart"
        )
        lines.append(
            f"{what}. The best, {answer.winner}, is right on about {told.value:.0f} of 100 new "
            f"photos{between(told)}, and guessing on {chance:.0f}."
        )
    else:
        lines.append(
            f"Use {answer.winner}: of 100 new photos, "
            f"{'classes as frequent as here' if natural else 'as many of each class'}, it will get about "
            f"{_of_100(told.value)} right{between(told)}."
        )
    if tested:
        lines.append(
            f"On the {plural(tested.n, 'test photo')}, which nothing was trained or chosen on: "
            f"{tested.value:.0f} of 100 right{between(tested)}."
        )
    lines += _classes(answer, classes)
    lines += _unequal(answer.promise, classes)
    lines += _others(answer.rows)
    lines += _more_photos(curve, classes, told)
    return lines + _left_out(left_out)


def classes_told(classes: Mapping[str, int]) -> str:
    """Return in a sentence which classes there are, and how many photos each has."""
    named = [f"{name} ({plural(count, 'photo')})" for name, count in classes.items()]
    more = f", and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return f"Classes: {', '.join(named[:NAMED])}{more}."


def what_it_is(answer: Answer) -> list[str]:
    """Return in a sentence what the strategy to use is; nothing where nothing is known of it."""
    return [f"{row.method}: {row.what}." for row in answer.rows if row.method == answer.winner and row.what]


def _of_draws(answer: Answer) -> list[str]:
    """Return what to use where draws differ in their classes: their mean is all that can be promised."""
    told = answer.accuracy
    if told is None:
        return []
    draws = plural(told.n, "draw")
    return [f"Use {answer.winner}: over {draws} of classes it gets {told.value:.1f} % right{between(told)}."]


def between(told: Estimate) -> str:
    """Return " (79 to 92)", or why nothing is said."""
    if told.interval is None:
        return f" ({told.reason})" if told.reason else ""
    low, high = told.interval
    return f" ({low:.0f} to {high:.0f})"


def _of_100(value: float) -> str:
    return "99 or more" if value > 99.5 else f"{value:.0f}"


def _classes(answer: Answer, classes: Mapping[str, int]) -> list[str]:
    """Return which class is weak, and what each will do."""
    assert answer.promise is not None
    recalls = {
        name: recall
        for name, recall in zip(classes, answer.promise.recall, strict=True)
        if recall is not None
    }
    weakest = min(recalls, key=lambda name: recalls[name].value)
    each = ", ".join(f"{name} {_of_100(recall.value)}" for name, recall in recalls.items())
    lines = [f"Of 100 photos of each class: {each}."] if len(recalls) <= 10 else []
    behind = answer.promise.balanced_accuracy.value - recalls[weakest].value
    if recalls[weakest].value < SURE and behind > BEHIND:
        lines.append(
            f"Weakest is {weakest}: {recalls[weakest].value:.0f} of 100{between(recalls[weakest])}, "
            f"learnt from {plural(classes[weakest], 'photo')}."
        )
    return lines


def _unequal(told: Promise, classes: Mapping[str, int]) -> list[str]:
    """Return what it costs to count unequal classes alike, or not to."""
    most, least = max(classes, key=lambda name: classes[name]), min(classes, key=lambda name: classes[name])
    if classes[most] < UNEQUAL * classes[least]:
        return []
    unequal = f"{most} has {plural(classes[most], 'photo')} and {least} {classes[least]}"
    if told.prior == "natural":
        alike = told.balanced_accuracy
        return [
            f"Classes count as often as they come, and {unequal}: of as many of each, it will get about "
            f"{_of_100(alike.value)} of 100 right{between(alike)}."
        ]
    share = 100 * classes[most] / sum(classes.values())
    return [
        f"Classes count alike, though {unequal}: of new photos as unequal as that, it will get about "
        f"{_of_100(told.accuracy.value)} of 100 right{between(told.accuracy)}; always saying {most} gets "
        f"{share:.0f}. {field('prior', 'natural')} trains for such photos."
    ]


def _others(rows: Sequence[Row]) -> list[str]:
    """Return how the others stand beside the winner."""
    by_standing = {
        standing: [
            f"{row.method} ({row.to_winner.value:+.1f} points)" if row.to_winner else row.method
            for row in rows
            if row.standing == standing
        ]
        for standing in ("alike", "worse", "ahead", "unclear")
    }
    lines = []
    if by_standing["worse"]:
        lines.append(f"Worse: {', '.join(by_standing['worse'])}.")
    if by_standing["alike"]:
        lines.append(f"About as good: {', '.join(by_standing['alike'])}.")
    if by_standing["ahead"]:
        lines.append(
            f"Ahead on the photos it was asked about, though not on all: {', '.join(by_standing['ahead'])}; "
            "give more time."
        )
    if by_standing["unclear"]:
        lines.append(f"Tried too little to say much: {', '.join(by_standing['unclear'])}; give more time.")
    return lines


def _more_photos(curve: Curve | None, classes: Mapping[str, int], told: Estimate) -> list[str]:
    """Return what more photos would bring."""
    if curve is None:
        return []
    now = min(classes.values())
    then = curve.carried_on(now, told, now + FURTHER)
    gain = then.value - told.value
    if gain < 0.5:
        lines = [f"Another {FURTHER} photos of each class would bring next to nothing."]
    else:
        low, high = then.interval or (then.value, then.value)
        lines = [
            f"Another {FURTHER} photos of each class would bring about {gain:.1f} points "
            f"(then {then.value:.0f} of 100, {low:.0f} to {high:.0f})."
        ]
    if told.value < GOAL:
        needed = curve.shots_from(now, told.value, GOAL)
        lines.append(
            f"For {GOAL:.0f} of 100 right, about {needed:,} photos of each class."
            if needed
            else f"{GOAL:.0f} of 100 are out of reach this way, however many photos."
        )
    return lines


def photos_ahead(
    curve: Curve | None, classes: Mapping[str, int], told: Estimate | None
) -> dict[int, Estimate]:
    """Return what the sentences on more photos say in numbers: photos of each class → accuracy."""
    if curve is None or told is None:
        return {}
    now = min(classes.values())
    needed = curve.shots_from(now, told.value, GOAL) if told.value < GOAL else None
    ahead = sorted({now + FURTHER} | ({needed} if needed else set()))
    return {shots: curve.carried_on(now, told, shots) for shots in ahead}


def _left_out(left_out: Mapping[str, str]) -> list[str]:
    told = "; ".join(by_reason(left_out, "{names} ({why})"))
    return [f"Left out: {told}."] if told else []
