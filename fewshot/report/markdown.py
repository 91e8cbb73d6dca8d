"""A results folder as Markdown: the summary, the tables and the commands, with links to the pictures."""

import re
from collections.abc import Iterable
from pathlib import Path

from fewshot.report import comparison
from fewshot.report.comparison import Comparison
from fewshot.report.conditions import conditions
from fewshot.report.groups import COMPARED, Group, Results
from fewshot.report.table import barred, markdown, note
from fewshot.report.words import READING, Name, Sentence, summarise


def document(results: Results, command: str) -> str:
    """Return the document. command: the command line that makes it."""
    blocks = [f"# Report: {escaped(results.store.folder.resolve().name)}", "## Summary"]
    if compared := results.comparison:
        told = escaped(" ".join([compared.verdict, *compared.consequences()]))
        blocks.append(f"- **{COMPARED}** ({escaped(compared.tasks)}): {told}")
    for group in results.groups:
        sentences = " ".join(_sentence(sentence) for sentence in summarise(group))
        blocks.append(f"- **{escaped(group.title)}** ({escaped(group.tasks)}): {sentences}")
    blocks += [READING] if results.groups else []
    blocks += _comparison(compared, results) if compared else []
    for group in results.groups:
        blocks += _group(group)
    if results.pictures:
        blocks += ["## Pictures", _links(results.pictures, results)]
    if results.notes:
        blocks += ["## Left out", "\n".join(f"- {escaped(text)}" for text in results.notes)]
    return "\n\n".join([*blocks, "---", "Made by", _code(command)]) + "\n"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return re.sub(r"[\\`*_\[\]<>|&#~]", r"\\\g<0>", " ".join(text.split()))


def _comparison(compared: Comparison, results: Results) -> list[str]:
    return [
        f"## {COMPARED}",
        escaped(compared.tasks),
        barred(comparison.columns(compared.table, compared.seconds)),
        comparison.READING,
        *([_links(results.sheets, results)] if results.sheets else []),
        *map(escaped, compared.use()),
        _code(compared.command),
    ]


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
