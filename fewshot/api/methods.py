"""`methods`: what there is to compare, by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from fewshot.methods.catalogue import Method
from fewshot.methods.catalogue import methods as catalogue
from fewshot.report.page.parts import table as html_table
from fewshot.report.table import NONE, aligned


@dataclass(frozen=True, repr=False)
class MethodList(Sequence[Method]):
    """Methods with what each is and costs; shown as a table. Made by `fewshot.methods`."""

    methods: tuple[Method, ...]

    @property
    def names(self) -> list[str]:
        """The names, which `fewshot.run` takes."""
        return [method.name for method in self.methods]

    @overload
    def __getitem__(self, position: int) -> Method: ...

    @overload
    def __getitem__(self, position: slice) -> tuple[Method, ...]: ...

    def __getitem__(self, position: int | slice) -> Method | tuple[Method, ...]:
        return self.methods[position]

    def __len__(self) -> int:
        return len(self.methods)

    def __iter__(self) -> Iterator[Method]:
        return iter(self.methods)

    def __repr__(self) -> str:
        names, costs, (heading, *summaries) = self._columns()
        lines = aligned([names, costs])  # numbers stand to the right there, and summaries go to the left
        texts = [heading, "─" * len(heading), *summaries]
        return "\n".join(f"{line}  {text}".rstrip() for line, text in zip(lines, texts, strict=True))

    def _repr_html_(self) -> str:
        return html_table(self._columns(), None, "Methods")

    def _columns(self) -> list[list[str]]:
        """Return name, seconds of a trial on one core, and summary."""
        costs = [NONE if m.cost_seconds is None else f"{m.cost_seconds:g}" for m in self.methods]
        return [
            ["method", *self.names],
            ["s/trial", *costs],
            ["what it is", *(method.summary for method in self.methods)],
        ]


def methods(tag: str | None = None) -> MethodList:
    """Return the methods by name, with what each is and about how long a trial takes on one core.

    tag: only those of a study or a topic, such as "compare", "augment" or "baselines".

    Raises `UsageError` for a tag that no method has.
    """
    return MethodList(tuple(catalogue.values() if tag is None else catalogue.tagged(tag)))
