"""A results folder as Markdown: the summary, the tables and the commands, with links to the pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from fewshot.report import comparison
from fewshot.report.comparison import Comparison
from fewshot.report.conditions import conditions
from fewshot.report.evidence import PROBABILITY, SUSPICION, Evidence
from fewshot.report.groups import Found, Group, Results
from fewshot.report.table import NONE, barred, markdown, note
from fewshot.report.words import READING, Name, Sentence, summarise
from fewshot.stats.intervals import Estimate


def document(results: Results, command: str) -> str:
    """Return the document. command: the command line that makes it."""
    blocks = [f"# Report: {escaped(results.store.folder.resolve().name)}", "## Summary"]
    for compared in results.comparisons:
        verdict = escaped(" ".join(compared.told.verdict))
        blocks.append(f"- **{escaped(compared.title)}** ({escaped(compared.told.tasks)}): {verdict}")
    for group in results.groups:
        sentences = " ".join(_sentence(sentence) for sentence in summarise(group))
        blocks.append(f"- **{escaped(group.title)}** ({escaped(group.tasks)}): {sentences}")
    blocks += [READING] if results.groups else []
    for compared in results.comparisons:
        blocks += _comparison(compared, results)
    for group in results.groups:
        blocks += _group(group)
    for kept in results.tables:
        header, *rows = zip(*kept.columns, strict=True)
        blocks += [f"## {escaped(kept.study)}", escaped(kept.about), _table(header, rows)]
        blocks += [*([_list(kept.notes)] if kept.notes else []), _code(kept.command)]
    if results.pictures:
        blocks += ["## Pictures", _links(results.pictures, results)]
    if results.notes:
        blocks += ["## Left out", "\n".join(f"- {escaped(text)}" for text in results.notes)]
    return "\n\n".join([*blocks, "---", "Made by", _code(command)]) + "\n"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return re.sub(r"[\\`*_\[\]<>|&#~]", r"\\\g<0>", " ".join(text.split()))


def _comparison(found: Found, results: Results) -> list[str]:
    told, evidence = found.told, found.told.evidence
    blocks = [f"## {escaped(found.title)}", escaped(told.tasks)]
    blocks += [_list(told.verdict), *map(escaped, told.use())]
    if told.recall:
        blocks += ["### What to expect of 100 new photos of each class", _expected(told)]
    if evidence.confusion:
        blocks += ["### Of 100 new photos of a class (row), how many get each answer", _confusion(told)]
    if evidence.bins:
        bins = zip(evidence.bins.confidence, evidence.bins.accuracy, evidence.bins.count, strict=True)
        rows = [(f"{100 * sure:.1f} %", f"{100 * right:.1f} %", f"{count:,}") for sure, right, count in bins]
        title = f"### Do its probabilities come true? ({evidence.bins.error:.1f} points off on average)"
        blocks += [title, _table(("mean probability", "right", "photos"), rows)]
    if len(told.curve) > 1:
        blocks += ["### What more photos would bring", _more_photos(told)]
    blocks += _photos(evidence)
    if told.data_notes:
        blocks += ["### What is in the data", _list(told.data_notes)]
    blocks += ["### What was tried, and what it cost", barred(comparison.columns(told.table))]
    what = [f"{row.method}: {row.what}" for row in told.table if row.what]
    blocks += [*([_list(what)] if what else []), told.reading()]
    blocks += ["### Left out", _list(told.notes())] if told.left_out else []
    if found.earlier:
        title = "### From an earlier run, not part of this verdict"
        blocks += [title, found.earlier_told(), barred(found.earlier_columns())]
    return [*blocks, *([_links(found.sheets, results)] if found.sheets else []), _code(told.command)]


def _expected(told: Comparison) -> str:
    everything = {"all classes": told.expected} if told.expected else {}
    rows = []
    for name, estimate in {**everything, **told.recall}.items():
        value = "99 or more" if estimate.value > 99.5 else f"{estimate.value:.0f}"
        rows.append((name, value, _interval(estimate)))
    return _table(("class", "right of 100", "95 % interval"), rows)


def _more_photos(told: Comparison) -> str:
    """Return the learning curve: measured with fewer photos, today's number, and carried on."""
    rows = [(str(shots), f"{point.value:.1f}", _interval(point), "") for shots, point in told.curve.items()]
    if told.expected:
        now = str(min(told.classes.values()))
        rows.append((now, f"{told.expected.value:.1f}", _interval(told.expected), "today"))
        rows += [
            (str(shots), f"{point.value:.1f}", _interval(point), "carried on, not measured")
            for shots, point in told.ahead.items()
        ]
    return _table(("photos of each class", "right of 100", "95 % interval", ""), rows)


def _interval(estimate: Estimate) -> str:
    if estimate.interval is None:
        return NONE
    low, high = estimate.interval
    return f"{low:.0f} to {high:.0f}"


def _confusion(told: Comparison) -> str:
    rows = zip(told.classes, told.evidence.confusion, strict=True)
    return _table(
        ("true ↓ predicted →", *told.classes),
        [(name, *(f"{share:.0f}" for share in row)) for name, row in rows],
    )


def _photos(evidence: Evidence) -> list[str]:
    """Return the photos that are wrong, and the suspicious ones, as tables; the others only counted."""
    blocks = []
    wrong = [photo for photo in evidence.photos if "wrong" in photo.kinds]
    if evidence.photos:
        blocks += ["### Photos to look at", f"The page shows: {evidence.shown()}. {PROBABILITY}"]
    if wrong:
        rows = [(photo.file, photo.label, photo.answer, photo.percent, photo.note) for photo in wrong]
        blocks.append(_table(("wrong", "label", "answer", "probability", "note"), rows))
    if evidence.inspected:
        blocks += ["### What is suspicious", *map(escaped, evidence.warnings())]
        rows = [
            (
                suspect.file,
                suspect.label,
                suspect.suggested,
                f"{100 * suspect.suspicion:.0f} %",
                suspect.kind,
                suspect.why,
                suspect.other,
            )
            for suspect in evidence.suspects
        ]
        heads = ("file", "label", "perhaps", "suspicion", "what", "why", "repeats")
        none = f"{evidence.inspected:,} photos looked at one by one: none is suspicious."
        blocks += [_table(heads, rows), SUSPICION] if rows else [none]
    return blocks


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [map(escaped, heads), ["---"] * len(heads), *(map(escaped, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in lines)


def _group(group: Group) -> list[str]:
    facts = "\n".join(f"- {name}: {escaped(value)}" for name, value in conditions(group).items())
    blocks = [f"## {escaped(group.title)}", escaped(group.tasks), markdown(group.results, group.baseline)]
    if any(result.delta for result in group.results):
        blocks.append(note(group.results))
    return [*blocks, *([_code(group.command)] if group.command else []), facts]


def _sentence(sentence: Sentence) -> str:
    return "".join(f"**{escaped(part)}**" if isinstance(part, Name) else part for part in sentence)


def _links(paths: Iterable[Path], results: Results) -> str:
    links = [path.relative_to(results.store.folder).as_posix() for path in paths]
    return "\n".join(f"- [{escaped(link)}](<{_target(link)}>)" for link in links)


def _code(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _target(path: str) -> str:
    return re.sub(r"[\\<>]", r"\\\g<0>", path)
