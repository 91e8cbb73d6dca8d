"""A results folder as one page that needs nothing else: styles, script and pictures stand inside.

What stands in which group comes from groups.py, the sentences from words.py, the cells from table.py.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files

from fewshot.report.conditions import conditions
from fewshot.report.groups import COMPARED, Found, Group, Results
from fewshot.report.kept_table import KeptTable
from fewshot.report.names import shortened
from fewshot.report.page import compared
from fewshot.report.page.album import album
from fewshot.report.page.markup import Markup, breakable, join, tag
from fewshot.report.page.matrix import matrix
from fewshot.report.page.parts import command, figure, table
from fewshot.report.page.vector import inline
from fewshot.report.plots import Compared, caption, foremost, make_plot, plots, shots, shown
from fewshot.report.predictions import pool
from fewshot.report.table import columns, note
from fewshot.report.words import READING, Name, Sentence, leader, summarise
from fewshot.stats.comparison import MethodResult
from fewshot.wording import plural

AT_MOST = 12  # methods in a picture that does not say how many it has room for
EFFORT = ("images", "updates", "seen", "s/trial")  # columns that stand last


def page(results: Results, made_by: str) -> str:
    """Return the page. made_by: the command line that makes it."""
    style, script = (
        files("fewshot.report.page").joinpath(name).read_text(encoding="utf-8")
        for name in ("page.css", "page.js")
    )
    # Nothing is fetched, and no script runs but ours, whatever a name contains.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    name = results.store.folder.resolve().name
    anchors = [f"group-{number}" for number, _ in enumerate(results.groups, 1)]
    pairs = list(zip(anchors, results.groups, strict=True))
    sections = [_group(anchor, group, results) for anchor, group in pairs]
    pictures, skipped = album(results.store.folder, results.pictures)
    answers = [(f"{COMPARED}-{number}", found) for number, found in enumerate(results.comparisons, 1)]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"Report: {name}"),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        tag("header", tag("h1", "Report: ", name), tag("p", _overview(results), class_="lead")),
        tag(
            "main",
            _summary(answers, pairs),
            *(compared.section(anchor, found) for anchor, found in answers),
            *sections,
            *(_kept_table(number, kept) for number, kept in enumerate(results.tables, 1)),
            _shots(results),
            _pictures(pictures, skipped),
            _notes(results.notes),
        ),
        tag("footer", tag("p", "Made by "), command(made_by)),
        tag("script", Markup(script)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _overview(results: Results) -> str:
    compared = [record for found in results.comparisons for record in (*found.records, *found.earlier)]
    shown = [*compared, *(record for group in results.groups for record in group.records)]
    records = {record.key: record for record in shown}.values()
    methods = {result.method for group in results.groups for result in group.results}
    methods |= {record.method for record in compared}
    days = sorted({record.date[:10] for record in records} - {""})
    when = f", {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "") if days else ""
    told = [f"{len(records):,} trials of {plural(len(methods), 'method')}{when}"] if records else []
    told += [plural(len(results.tables), "table")] if results.tables else []
    return f"{' and '.join(told)}."


def _summary(answers: Sequence[tuple[str, Found]], pairs: Sequence[tuple[str, Group]]) -> Markup | None:
    """Return a card for each section; nothing where there is one alone, which would say the same below."""
    if len(answers) == 1 and not pairs:
        return None
    cards = [
        _card(anchor, found.title, found.told.tasks, (tag("p", line) for line in found.told.verdict))
        for anchor, found in answers
    ]
    cards += [
        _card(anchor, group.title, group.tasks, (_sentence(sentence) for sentence in summarise(group)))
        for anchor, group in pairs
    ]
    how = tag("details", tag("summary", "How to read this"), tag("p", READING)) if pairs else None
    return tag("section", tag("h2", "Summary"), tag("div", *cards, class_="cards"), how, id="summary")


def _card(anchor: str, title: str, tasks: str, told: Iterable[Markup]) -> Markup:
    link = tag("h3", tag("a", title, href=f"#{anchor}"))
    return tag("section", link, tag("p", tasks, class_="tasks"), *told, class_="card")


def _sentence(sentence: Sentence) -> Markup:
    return tag("p", *(tag("b", breakable(part)) if isinstance(part, Name) else part for part in sentence))


def _group(anchor: str, group: Group, results: Results) -> Markup:
    warning = "Tuning tasks are for choosing. What is chosen on them is not reported on them."
    compared = any(result.delta for result in group.results)
    return tag(
        "section",
        tag("h2", group.title),
        tag("p", group.tasks, class_="tasks"),
        tag("p", warning, class_="warning") if group.tuning else None,
        _table(group),
        tag("p", note(group.results), class_="note") if compared else None,
        _failures(group.results),
        _figures(anchor, group),
        _predictions(anchor, group, results),
        tag("h3", "Protocol and machine"),
        _conditions(group),
        join(tag("h3", "Command"), command(group.command)) if group.command else None,
        id=anchor,
    )


def _table(group: Group) -> Markup:
    best = leader(group)
    # What was found stands before what it took: a phone shows the first columns only.
    ordered = sorted(columns(group.results, group.baseline), key=lambda column: column[0] in EFFORT)
    baseline = group.baseline if group.baseline != "baseline" else ""
    return table(ordered, best and best.method, f"Results of {group.title}", baseline)


def _failures(results: Iterable[MethodResult]) -> Markup | None:
    failed = [
        tag(
            "li",
            tag("b", result.method),
            f", seed {record.seed}: {record.reason or 'no reason given'}",
        )
        for result in results
        for record in result.records
        if not record.ok
    ]
    if not failed:
        return None
    return tag("details", tag("summary", f"{plural(len(failed), 'failed trial')}"), tag("ul", *failed))


def _figures(anchor: str, group: Group) -> Markup | None:
    """Return the plots of the group's results, each of the methods that fit in a picture."""
    if leader(group) is None:
        return None
    short = shortened(result.method for result in group.results)
    results = [replace(result, method=short[result.method]) for result in group.results]
    names = [name for name in group.plots if plots[name].traits.get("needs") != "predictions"]
    return join(
        *_plots(anchor, names, Compared(results, short[group.baseline], group.tasks)),
        _full(short),
    )


def _plots(anchor: str, names: Iterable[str], compared: Compared) -> list[Markup]:
    """Return the plots of which some method can be shown."""
    figures = []
    for name in names:
        able = shown(name, compared)
        if not able.results:
            continue
        fitting = foremost(able, plots[name].traits.get("at_most", AT_MOST))
        text = caption(name, fitting)
        svg = inline(lambda name=name, fitting=fitting: make_plot(name, fitting), text, f"{anchor}-{name}")
        figures.append(figure(svg, text + _of(fitting.results, able.results)))
    return figures


def _full(short: Mapping[str, str]) -> Markup | None:
    """Return the list of what pictures call otherwise."""
    changed = [tag("li", tag("b", text), f": {name}") for name, text in short.items() if text != name]
    if not changed:
        return None
    return tag("details", tag("summary", "Names in the pictures, and in full"), tag("ul", *changed))


def _of(shown: Sequence, everything: Sequence) -> str:
    if len(shown) == len(everything):
        return "."
    return f": the baseline and the best of {len(everything)}; the table has all."


def _predictions(anchor: str, group: Group, results_folder: Results) -> Markup | None:
    """Return confusion and calibration of the baseline and the leader, over all tasks together."""
    best = leader(group)
    if best is None:
        return None
    results = [r for r in group.results if r.method in (group.baseline, best.method)]
    pooled = {result.method: pool(results_folder.store, result.records) for result in results}
    predictions = {method: predicted for method, predicted in pooled.items() if len(predicted.truth)}
    missing = sorted({key for predicted in pooled.values() for key in predicted.missing})
    parts = []
    if missing:
        named = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        trials = plural(len(missing), "trial")
        text = f"The predictions of {trials} are missing or torn ({named}): left out here."
        parts.append(tag("p", text, class_="warning"))
    for method, predicted in predictions.items():
        text = f"{method}: of 100 images of a class (row), how many were taken for each"
        empty = "" if predicted.met.all() else "; empty where two classes were in no task together"
        parts.append(figure(matrix(predicted), f"{text}{empty}. {len(predicted.truth):,} predictions."))
    if predictions:
        short = shortened(predictions)
        compared = Compared(
            [replace(result, method=short[result.method]) for result in results if result.method in short],
            short.get(group.baseline, group.baseline),
            group.tasks,
            {short[method]: predicted for method, predicted in predictions.items()},
        )
        named = [name for name in group.plots if plots[name].traits.get("needs") == "predictions"]
        parts += _plots(anchor, dict.fromkeys([*named, "calibration"]), compared)
    if not parts:
        return None
    return join(tag("h3", "Confusion and calibration"), tag("div", *parts, class_="side"))


def _conditions(group: Group) -> Markup:
    rows = []
    for name, value in conditions(group).items():
        rows += [tag("dt", name), tag("dd", value)]
    return tag("dl", *rows)


def _kept_table(number: int, kept: KeptTable) -> Markup:
    """Return the section of a table that a command kept."""
    return tag(
        "section",
        tag("h2", kept.study),
        tag("p", kept.about, class_="tasks"),
        table(kept.columns, None, f"Results of {kept.study}"),
        tag("ul", *(tag("li", note) for note in kept.notes)) if kept.notes else None,
        tag("h3", "Command"),
        command(kept.command),
        id=f"table-{number}",
    )


def _shots(results: Results) -> Markup | None:
    records = {record.key: record for group in results.groups for record in group.records}
    parts = []
    for number, (title, curves) in enumerate(shots.shots_curves(records.values()).items(), 1):
        text = f"{title}: accuracy against training images a class, mean and 95 % interval"
        short = shortened(curves)
        drawn = {short[method]: curve for method, curve in curves.items()}
        svg = inline(lambda drawn=drawn: shots.plot_shots(drawn), text, f"shots-{number}")
        parts += [figure(svg, f"{text}."), _full(short)]
    return tag("section", tag("h2", "What more images bring"), *parts, id="shots") if parts else None


def _pictures(pictures: Mapping[str, Markup], skipped: Sequence[str]) -> Markup | None:
    """Return the sheets and other pictures of the folder, as far as there is room."""
    parts = [figure(picture, name) for name, picture in pictures.items()]
    if skipped:
        text = f"Too large, or no picture, left out: {', '.join(skipped)}."
        parts.append(tag("p", text, class_="note"))
    return tag("section", tag("h2", "Pictures"), *parts, id="pictures") if parts else None


def _notes(notes: Sequence[str]) -> Markup | None:
    if not notes:
        return None
    return tag("section", tag("h2", "Left out"), tag("ul", *(tag("li", text) for text in notes)), id="notes")
