"""A comparison of strategies as a section of the page: the verdict, what it rests on, photos, the model."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

import numpy as np

from fewshot.methods.catalogue import methods
from fewshot.report import comparison
from fewshot.report.comparison import Comparison
from fewshot.report.evidence import KINDS, PROBABILITY, SUSPICION, Bins, Evidence, Photo, Suspect
from fewshot.report.groups import Found
from fewshot.report.page.album import LOOKS, thumbnails
from fewshot.report.page.markup import Markup, breakable, join, tag
from fewshot.report.page.matrix import of_shares
from fewshot.report.page.parts import command, figure, scrolling, table
from fewshot.report.page.vector import inline
from fewshot.report.plots.calibration import Calibration, reliability
from fewshot.report.plots.more_photos import plot_more_photos
from fewshot.stats.intervals import Estimate
from fewshot.wording import EVIDENCE

WIDTH = 4.7  # inches of a picture: a phone shows it whole
LISTED = 200  # suspicious photos in the list
LONG = 30  # letters of a cell that may be broken into lines
HEADS = ("class", "right of 100", "95 % interval", "", "photos")  # of what to expect
DETAILED = 20  # classes whose recall is shown at once
ORDERS = ("as listed", "lowest probability first", "highest probability first", "by file")
PROBABILITIES = ("any", "under 60 %", "60 to 90 %", "over 90 %")
DOUBTED = {"wrong label": "label may be wrong"}  # findings whose kind would say more than is known
WORDS = {  # in plain words → how the field calls it, and what it means
    "held out": (
        "not shown to the model while it was trained, so that its answer is a fair test. Photos are divided "
        "into parts, and held out part by part (folds, cross-validation), or drawn at random."
    ),
    "right of 100": "the share of right answers (accuracy); of the photos of one class it is its recall.",
    "95 % interval": "between which numbers the true one lies, with 95 % confidence.",
    "probability": PROBABILITY,
    "points off": (
        "how far probabilities are from what comes true, on average (expected calibration error, ECE)."
    ),
    "suspicion": SUSPICION,
}


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
        table(
            comparison.columns(told.table),
            told.winner,
            f"Results of {found.title}",
            notes={row.method: row.what for row in told.table},
        ),
        tag("p", told.reading(), class_="note"),
        join(tag("h3", "Left out"), _list(told.notes())) if told.left_out else None,
        _earlier(found),
        _words(),
        tag("h3", "Command"),
        command(told.command),
        id=anchor,
        class_="compared",
    )


def _list(lines: Iterable[str]) -> Markup:
    return tag("ul", *(tag("li", line) for line in lines))


def _earlier(found: Found) -> Markup | None:
    """Return the strategies that the last run left out: they stand after all that belongs to the verdict."""
    if not found.earlier:
        return None
    columns = found.earlier_columns()
    notes = {method: methods.summary_of(method) for method in columns[0][1:]}
    return join(
        tag("h3", "From an earlier run, not part of this verdict"),
        tag("p", found.earlier_told()),
        table(columns, None, f"Earlier trials of {found.title}", notes=notes),
    )


def _words() -> Markup:
    terms = [part for word, means in WORDS.items() for part in (tag("dt", word), tag("dd", means))]
    return tag("details", tag("summary", "What the words mean"), tag("dl", *terms))


def _model(told: Comparison) -> Markup | None:
    if not told.model:
        return None
    path = told.model["path"]
    return join(
        tag("h3", "The model"),
        tag("p", breakable(path), f" ({told.model['method']}, trained on all photos)."),
        tag(
            "p",
            "What to expect of it and how it was made stands in ",
            breakable(told.model["card"]),
            " (model card).",
            class_="note",
        ),
        command(f"fewshot predict {shlex.quote(path)} PHOTOS…\nfewshot try {shlex.quote(path)}"),
    )


def _expected(told: Comparison) -> Markup | None:
    """Return how many of 100 new photos will be right, of all and of each class, with bars."""
    rows = [_bar("all classes", told.expected, None, "total")] if told.expected else []
    rows += [_bar(name, estimate, told.classes.get(name)) for name, estimate in told.recall.items()]
    if not rows:
        return None
    heads = [tag("th", text, scope="col") for text in HEADS]
    bars = [
        tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *part), class_="bars")
        for part in (rows[: DETAILED + 1], rows[DETAILED + 1 :])
        if part
    ]
    label = "What to expect of 100 new photos of each class"
    more = tag("details", tag("summary", f"{len(rows) - DETAILED - 1} more classes"), *bars[1:])
    text = (
        "The line is the estimate, the coloured bar the 95 % interval. Measured on photos that were held "
        f"out{', and corrected for training on all photos by the learning curve' if told.corrected else ''}."
    )
    if len(told.table) > 1:
        text += (
            " From the number of all classes, the luck of having been chosen among several strategies is "
            "taken off, so that it may be below the mean of the others."
        )
    return join(
        tag("h3", label),
        scrolling(bars[0], label),
        more if bars[1:] else None,
        tag("p", text, class_="note"),
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
        shares, photos = np.array(evidence.confusion), np.array(list(told.classes.values()))
        text = (
            "Of 100 new photos of a class (row), how many get each answer (confusion matrix). On the "
            "diagonal are the numbers above; all are measured and corrected in the same way."
        )
        cells = of_shares(tuple(told.classes), shares, photos * shares.any(1), noun="photos", whole=True)
        parts.append(figure(cells, text))
    if evidence.bins:
        parts.append(_calibration(anchor, told.winner, evidence.bins))
    if not parts:
        return None
    return join(tag("h3", "Which classes are confused, and can one trust the probabilities?"), _side(parts))


def _side(parts: Sequence[Markup]) -> Markup:
    return tag("div", *parts, class_="side")


def _calibration(anchor: str, winner: str, bins: Bins) -> Markup:
    drawn = Calibration(*map(np.array, (bins.confidence, bins.accuracy, bins.count)), bins.error)
    chance = "" if bins.by_chance is None else f", where {bins.by_chance:.1f} would be chance"
    text = (
        "How right answers are (up) against their probability (right): below the diagonal, the model "
        f"promises more than it keeps. On average it is {bins.error:.1f} points off{chance}. A larger dot "
        "holds more answers"
    )
    return figure(inline(lambda: reliability({winner: drawn}), text, f"{anchor}-calibration"), f"{text}.")


def _curve(anchor: str, told: Comparison) -> Markup | None:
    if len(told.curve) < 2:
        return None
    now = min(told.classes.values())
    text = (
        f"{told.winner}: right of 100 new photos, by photos of each class to learn from; bars are 95 % "
        f"intervals. Up to today's {now:,} it was measured"
    )
    if told.ahead:
        text += "; the dashed line carries the curve on, beyond what was measured"
    svg = inline(lambda: plot_more_photos(told, WIDTH), text, f"{anchor}-shots")
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
        "probability": [(str(i) if i else "", words) for i, words in enumerate(PROBABILITIES)],
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
            f"{PROBABILITY} Shown of what there is: {evidence.shown(shown)}.{lost}",
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
            f"{EVIDENCE} Below each photo: its label → the answer that it got while it was held out. The "
            "colours are of the model that is saved, which was trained on these photos, too.",
            class_="note",
        ),
        tag("ul", *items, class_="looks"),
    )


def _option(value: str, words: str) -> Markup:
    return tag("option", words, value=value)


def _photo(photo: Photo, picture: Markup) -> Markup:
    answer = f"answer: {photo.answer}, {photo.percent}" if photo.answer else "not asked"
    wrong = bool(photo.answer) and photo.answer != photo.label
    return tag(
        "li",
        tag("button", picture, type="button", aria_label=f"enlarge {photo.file}"),
        tag("b", "label: ", photo.label),
        tag("span", answer, class_="wrong" if wrong else None),
        tag("small", ", ".join(KINDS[kind] for kind in photo.kinds)),
        tag("span", photo.file, class_="file"),
        tag("span", photo.note, class_="why") if photo.note else None,
        data_kinds=" ".join(photo.kinds),
        data_class=photo.label,
        data_probability=f"{photo.probability:.4f}" if photo.answer else "",
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
        f" The first {LISTED} of {len(evidence.suspects):,}; comparison.json has all."
        if len(listed) < len(evidence.suspects)
        else ""
    )
    names, *columns = (
        [head, *cells]
        for head, cells in zip(
            ("file", "label", "perhaps", "suspicion", "what", "why", "repeats"),
            zip(*map(_suspect, listed), strict=True),
            strict=True,
        )
        if any(cells)  # of photos that repeat none there is nothing to say
    )
    heads = [
        tag("th", tag("span", column[0]), scope="col", data_sort=None if column[0] == "suspicion" else "text")
        for column in (names, *columns)
    ]
    rows = [
        tag(
            "tr",
            tag("th", breakable(name), scope="row"),
            *(tag("td", cell, class_="long" if len(cell) > LONG else None) for cell in cells),
        )
        for name, *cells in zip(names[1:], *(column[1:] for column in columns), strict=True)
    ]
    body = tag("tbody", *rows)
    listing = tag("table", tag("thead", tag("tr", *heads)), body, class_="results words")
    label = f"Suspicious among {evidence.inspected:,} photos"
    return join(title, *warnings, scrolling(listing, label), tag("p", SUSPICION, more, class_="note"))


def _suspect(one: Suspect) -> tuple[str, ...]:
    other = f"{one.other} ({one.other_label})" if one.other_label else one.other
    percent, kind = f"{100 * one.suspicion:.0f} %", DOUBTED.get(one.kind, one.kind)
    return one.file, one.label, one.suggested, percent, kind, one.why, other
