"""A table of photos: a row a photo, with its path, its label and, where it has such, its part.

CSV and TSV are read as they are; Parquet where pandas is installed. Columns are known by their usual names.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fewshot.data.spelling import part_named
from fewshot.errors import UsageError, field

PATHS = (
    *("path", "file", "filename", "file_name", "filepath", "file_path", "image_path", "image", "img_path"),
    *("img", "image_name", "imagename", "image_file", "image_id", "photo", "picture", "name"),
)
LABELS = (
    *("label", "labels", "class", "class_name", "classname", "category", "target", "species", "breed"),
    *("diagnosis", "label_name", "y"),
)
SPLITS = ("split", "part", "set", "subset", "partition", "fold_name")


@dataclass(frozen=True)
class Row:
    """A photo: its path relative to the table, its label, and train, val, test or nothing."""

    path: str
    label: str
    part: str | None


def rows_of(path: Path, columns: Sequence[str] = ()) -> list[Row]:
    """Return the rows of a table.

    columns: the names of the columns with path and label, and perhaps the part; the usual ones if none.

    Raises `UsageError` for what is no such table.
    """
    heads, rows = _read(path)
    if columns and not 2 <= len(columns) <= 3:
        raise UsageError(f"{field('columns')} wants two or three names: path, label and perhaps the part")
    for name in columns:
        if name not in heads:
            raise UsageError(f"{path} has no column '{name}'; it has {', '.join(heads)}")
    found = list(columns) or _usual(heads)
    if len(found) < 2:
        raise UsageError(
            f"{path} has no columns that are called path and label: say which with {field('columns')}; "
            f"it has {', '.join(heads) or 'none'}"
        )
    at = [heads.index(name) for name in found]
    return [_row(path, [row[i].strip() if i < len(row) else "" for i in at]) for row in rows if any(row)]


def find_table(paths: Iterable[Path]) -> tuple[Path, list[Row]] | None:
    """Return the one table among some that names photos, with its rows; None where none does.

    Raises `UsageError` where several do.
    """
    found = []
    for path in paths:
        try:
            if rows := rows_of(path):
                found.append((path, rows))
        except UsageError:
            continue
    if len(found) > 1:
        names = " and ".join(path.name for path, _ in found)
        raise UsageError(f"{found[0][0].parent} holds several tables of photos ({names}): name one of them")
    return found[0] if found else None


def _usual(heads: Sequence[str]) -> list[str]:
    known = {head.strip().casefold().replace(" ", "_"): head for head in reversed(heads)}
    found = [
        next((known[name] for name in names if name in known), None) for names in (PATHS, LABELS, SPLITS)
    ]
    if found[0] is None or found[1] is None:
        return []
    return [head for head in found if head is not None]


def _row(path: Path, cells: Sequence[str]) -> Row:
    part = None
    if len(cells) > 2 and cells[2] and (part := part_named(cells[2])) is None:
        raise UsageError(f"{path}: '{cells[2]}' is no part: parts are train, val and test")
    return Row(cells[0], cells[1], part)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns, and the cells."""
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    first = text.partition("\n")[0]
    delimiter = max("\t,;|", key=first.count)  # of equals the tab
    try:
        rows = list(csv.reader(io.StringIO(text.replace("\0", "")), delimiter=delimiter))
    except csv.Error as error:
        raise UsageError(f"{path} is no table: {error}") from error
    return ([head.strip() for head in rows[0]], rows[1:]) if rows else ([], [])


def _parquet(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        import pandas
    except ImportError:
        raise UsageError(f"{path}: Parquet is read with the packages pandas and pyarrow") from None
    try:
        frame = pandas.read_parquet(path)
    except Exception as error:  # whatever the engine raises, or that there is none
        raise UsageError(f"cannot read {path}: {' '.join(str(error).split()):.200}") from error
    cells = [["" if pandas.isna(cell) else _text(cell) for cell in row] for row in frame.to_numpy().tolist()]
    return list(map(str, frame.columns)), cells


def _text(cell: object) -> str:
    """Return a cell's text; a whole number that a gap in its column made a float is one again."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
