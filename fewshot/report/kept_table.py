"""Tables of commands that do not measure by trials: what they printed, kept for the report's page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fewshot.io.files import replacing
from fewshot.report.typed import entries, text

NAME = "table.json"


@dataclass(frozen=True)
class KeptTable:
    """A table with what belongs to it.

    study: the command's name. about: what was measured, in a line. columns: each its heading and its cells,
    the names first. notes: how to read it, a sentence each. command: the command line that measured it.
    """

    study: str
    about: str
    columns: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    command: str

    def write(self, folder: Path) -> None:
        """Keep it in the command's folder of pictures and records."""
        with replacing(folder / NAME) as path:
            path.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), encoding="utf-8")


def read(path: Path) -> KeptTable:
    """Return a table from its file; `ValueError`, `TypeError` or `KeyError` for what is none."""
    document = json.loads(path.read_text(encoding="utf-8"))
    columns = tuple(_texts(column) for column in entries(document["columns"]))
    if not columns or len({len(column) for column in columns}) > 1 or len(columns[0]) < 2:
        raise ValueError("no table: columns are equally long, a heading and cells")
    return KeptTable(
        text(document["study"]),
        text(document["about"]),
        columns,
        _texts(document["notes"]),
        text(document["command"]),
    )


def _texts(value: Sequence) -> tuple[str, ...]:
    return tuple(map(text, entries(value)))
