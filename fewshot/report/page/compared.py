"""A comparison of strategies as a section of the page: the verdict, what it rests on, photos, the model."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

import numpy as np

from fewshot.report import comparison
from fewshot.report.comparison import Comparison
from fewshot.report.evidence import KINDS, Bins, Evidence, Photo, Suspect
from fewshot.report.groups import Found
from fewshot.report.page.album import LOOKS, thumbnails
from fewshot.report.page.markup import Markup, breakable, join, tag
from fewshot.report.page.matrix import counted
from fewshot.report.page.parts import command, figure, scrolling, table
from fewshot.report.page.vector import inline
from fewshot.report.plots.calibration import Calibration, reliability
from fewshot.report.plots.shots import plot_shots
from fewshot.stats.comparison import summary
from fewshot.stats.intervals import Estimate
from fewshot.wording import EVIDENCE

WIDTH = 4.7  # inches of a picture: a phone shows it whole
LISTED = 200  # suspicious photos in the list
DETAILED = 20  # classes whose recall is shown at once
ORDERS = ("as listed", "least sure first", "most sure first", "by file")
SURE = ("any", "under 60 %", "60 to 90 %", "over 90 %")


def section(anchor: str, found: Found) -> Markup:
    """Return all that is told of a comparison."""
    told, evidence = found.told, found.told.evidence
    first, *others = told.verdict or ("",)
    return tag(
        "section",
        tag("h2", found.title),
        tag("p", told.tasks, class_="tasks"),
        tag("p", tag("b", first), class_="verdict"),
        *(tag("p", line) for line in others),
        _model(told),
        _expected(told),
        _answers(anchor, told),
        _curve(anchor, told),
        _photos(anchor, found),
        _looks(found),
        _suspicious(evidence),
        join(tag("h3", "What is in the data"), _list(told.data_notes)) if told.data_notes else None,
        tag("h3", "What was tried, and what it cost"),
        table(comparison.columns(told.table), told.winner, f"Results of {found.title}"),
        tag("p", comparison.READING, class_="note"),
        join(tag("h3", "Left out"), _list(told.notes())) if told.left_out else None,
        tag("h3", "Command"),
        command(told.command),
        id=anchor,
        class_="compared",
    )


def _list(lines: Iterable[str]) -> Markup:
    return tag("ul", *(tag("li", line) for line in lines))


def _model(told: Comparison) -> Markup | None:
    if not told.model:
        return None
    path = told.model["path"]
    return join(
        tag("h3", "The model"),
        tag("p", breakable(path), f" ({told.model['method']}, trained on all photos), its card beside it."),
        command(f"fewshot predict {shlex.quote(path)} PHOTOS…\nfewshot try {shlex.quote(path)}"),
    )


def _expected(told: Comparison) -> Markup | None:
    """Return how many of 100 new photos will be right, of all and of each class, with bars."""
    rows = [_bar("all, balanced", told.expected, None, "total")] if told.expected else []
    rows += [_bar(name, estimate, told.classes.get(name)) for name, estimate in told.recall.items()]
    if not rows:
        return None
    heads = [tag("th", text, scope="col") for text in ("class", "right of 100", "range", "", "photos")]
    bars = [
        tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *part), class_="bars")
        for part in (rows[: DETAILED + 1], rows[DETAILED + 1 :])
        if part
    ]
    label = "What to expect of 100 new photos of each class"
    more = tag("details", tag("summary", f"{len(rows) - DETAILED - 1} more classes"), *bars[1:])
    return join(
        tag("h3", label),
        scrolling(bars[0], label),
        more if bars[1:] else None,
        tag("p", "The bar is the 95 % interval, the line in it the estimate.", class_="note"),
    )


def _bar(name: str, expected: Estimate, photos: int | None, kind: str | None = None) -> Markup:
    low, high = expected.interval or (expected.value, expected.value)
    low, high = (min(max(bound, 0.0), 100.0) for bound in (low, high))
    value = min(max(expected.value, 0.0), 100.0)
    track = tag(
        "div",
        tag("span", class_="range", style=f"left: {low:.1f}%; width: {max(high - low, 0.5):.1f}%"),
        tag("span", class_="value", style=f"left: {value:.1f}%"),
        class_="track",
    )
    return tag(
        "tr",
        tag("th", name, scope="row"),
        tag("td", "99 or more" if value > 99.5 else f"{value:.0f}"),
        tag("td", f"{low:.0f} to {high:.0f}" if expected.interval else "–"),
        tag("td", track, class_="drawn"),
        tag("td", "" if photos is None else f"{photos:,}"),
        class_=kind,
    )


def _answers(anchor: str, told: Comparison) -> Markup | None:
    """Return which classes are taken for which, and whether probabilities mean what they say."""
    evidence, parts = told.evidence, []
    if evidence.confusion:
        counts = np.array(evidence.confusion)
        text = "Of 100 photos of a class (row), how many were taken for each"
        parts.append(figure(counted(tuple(told.classes), counts), f"{text}. {counts.sum():,} photos."))
    if evidence.bins:
        parts.append(_calibration(anchor, told.winner, evidence.bins))
    if not parts:
        return None
    return join(tag("h3", "Which classes are confused, and can one trust how sure it is?"), _side(parts))


def _side(parts: Sequence[Markup]) -> Markup:
    return tag("div", *parts, class_="side")


def _calibration(anchor: str, winner: str, bins: Bins) -> Markup:
    drawn = Calibration(*map(np.array, (bins.confidence, bins.accuracy, bins.count)), bins.error)
    text = (
        "How right answers are (up) against how sure they are (right): below the diagonal, the model "
        f"promises more than it keeps. On average it is {bins.error:.1f} points off"
    )
    return figure(inline(lambda: reliability({winner: drawn}), text, f"{anchor}-calibration"), f"{text}.")


def _curve(anchor: str, told: Comparison) -> Markup | None:
    if len(told.curve) < 2:
        return None
    text = f"{told.winner}: accuracy against training photos a class"
    curve = {told.winner: {shots: summary([mean]) for shots, mean in sorted(told.curve.items())}}
    svg = inline(lambda: plot_shots(curve, WIDTH), text, f"{anchor}-shots")
    return join(tag("h3", "What more photos would bring"), figure(svg, f"{text}."))


def _photos(anchor: str, found: Found) -> Markup | None:
    """Return the photos to look at as a grid; the page's script filters and sorts it, and enlarges them."""
    evidence = found.told.evidence
    if not evidence.photos:
        return None
    pictures = thumbnails(found.folder / photo.thumbnail for photo in evidence.photos)
    shown = tuple(photo for photo in evidence.photos if found.folder / photo.thumbnail in pictures)
    missing = len(evidence.photos) - len(shown)
    lost = f" {missing:,} have no thumbnail, or no room on this page." if missing else ""
    items = [_photo(photo, pictures[found.folder / photo.thumbnail]) for photo in shown]
    kinds = [(kind, words) for kind, words in KINDS.items() if any(kind in p.kinds for p in shown)]
    choices = {
        "kind": [("", "all"), *kinds],
        "class": [("", "all"), *((name, name) for name in found.told.classes)],
        "sure": [(str(i) if i else "", words) for i, words in enumerate(SURE)],
        "order": [(str(i), words) for i, words in enumerate(ORDERS)],
    }
    controls = [
        tag("label", f"{name} ", tag("select", *(_option(*option) for option in options), name=name))
        for name, options in choices.items()
    ]
    return join(
        tag("h3", "Photos to look at"),
        tag(
            "p",
            f"Shown of what there is: {evidence.shown(shown)}.{lost} Each was answered while it was held "
            "out; how sure is calibrated.",
            class_="note",
        ),
        tag("div", *controls, tag("output"), class_="controls", hidden=""),
        tag("ul", *items, class_="photos", id=f"{anchor}-photos"),
    )


def _looks(found: Found) -> Markup | None:
    """Return photos beside what in them speaks for the answer that they got."""
    photos = [photo for photo in found.told.evidence.photos if photo.looks]
    thumbs = thumbnails(found.folder / photo.thumbnail for photo in photos)
    looks = thumbnails((found.folder / photo.looks for photo in photos if photo.looks), LOOKS)
    items = []
    for photo in photos:
        pair = thumbs.get(found.folder / photo.thumbnail), looks.get(found.folder / (photo.looks or ""))
        if all(pair):
            wrong = "wrong" if photo.answer != photo.label else None
            told = tag("span", photo.label, " → ", photo.answer, class_=wrong)
            items.append(
                tag("li", tag("div", *pair, class_="pair"), told, tag("span", photo.file, class_="file"))
            )
    if not items:
        return None
    return join(
        tag("h3", "Where the model looks"),
        tag(
            "p",
            f"{EVIDENCE} The answers are those that photos got while they were held out; the model is the "
            "one that is saved, which was trained on them, too.",
            class_="note",
        ),
        tag("ul", *items, class_="looks"),
    )


def _option(value: str, words: str) -> Markup:
    return tag("option", words, value=value)


def _photo(photo: Photo, picture: Markup) -> Markup:
    answer = f"{photo.answer}, {photo.sure}" if photo.answer else "not asked"
    wrong = bool(photo.answer) and photo.answer != photo.label
    return tag(
        "li",
        tag("button", picture, type="button", aria_label=f"enlarge {photo.file}"),
        tag("b", photo.label),
        tag("span", "→ ", answer, class_="wrong" if wrong else None),
        tag("small", ", ".join(KINDS[kind] for kind in photo.kinds)),
        tag("span", photo.file, class_="file"),
        tag("span", photo.note, class_="why") if photo.note else None,
        data_kinds=" ".join(photo.kinds),
        data_class=photo.label,
        data_sure=f"{photo.probability:.4f}" if photo.answer else "",
    )


def _suspicious(evidence: Evidence) -> Markup | None:
    if not evidence.inspected:
        return None
    warnings = [tag("p", text, class_="warning") for text in evidence.warnings()]
    title = tag("h3", "What is suspicious")
    if not evidence.suspects:
        text = f"{evidence.inspected:,} photos looked at one by one: none is suspicious."
        return join(title, *warnings, tag("p", text))
    listed = evidence.suspects[:LISTED]
    more = (
        f"The first {LISTED} of {len(evidence.suspects):,}; comparison.json has all."
        if len(listed) < len(evidence.suspects)
        else None
    )
    body = tag("tbody", *map(_suspect, listed))
    heads = [
        tag("th", tag("span", text), scope="col", data_sort=None if text == "how sure" else "text")
        for text in ("file", "label", "perhaps", "how sure", "what", "why", "repeats")
    ]
    listing = tag("table", tag("thead", tag("tr", *heads)), body, class_="results words")
    label = f"Suspicious among {evidence.inspected:,} photos"
    return join(title, *warnings, scrolling(listing, label), tag("p", more, class_="note") if more else None)


def _suspect(one: Suspect) -> Markup:
    other = f"{one.other} ({one.other_label})" if one.other_label else one.other
    cells = (one.label, one.suggested, f"{100 * one.sure:.0f} %", one.kind, one.why, other)
    return tag("tr", tag("th", breakable(one.file), scope="row"), *(tag("td", cell) for cell in cells))
