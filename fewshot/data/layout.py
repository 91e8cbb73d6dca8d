"""Which photos there are, of which class and part, and what is left out: the answer, and that of a table."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fewshot.data.archive import OUTSIDE
from fewshot.data.kinds import left_out_as
from fewshot.data.spelling import PARTS, label_named
from fewshot.data.tables import Row, rows_of
from fewshot.data.tally import Tally, tallied
from fewshot.errors import UsageError
from fewshot.wording import plural

# part → class → image files, in a fixed order
Listing = dict[str, dict[str, list[Path]]]

WRAPPERS = {"data", "dataset", "images", "imgs", "photos", "pictures", "pics"}  # say nothing of classes
MISSING, UNLABELLED = "not there, though the table names them", "without a label"
TWICE = "with two labels, or in two parts"


@dataclass(frozen=True)
class Layout:
    """Photos with their classes and parts.

    source: what the user named. root: the folder that files are relative to. name: of the dataset.
    left_out: what is not among the photos, and why. notes: what was understood that could surprise.
    """

    source: Path
    root: Path
    name: str
    listing: Listing
    left_out: tuple[Tally, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> list[Path]:
        """All photos, part by part and class by class."""
        return [file for classes in self.listing.values() for files in classes.values() for file in files]


def relative(file: Path, root: Path) -> str:
    """Return a file's path below a folder; the whole path of one that is elsewhere."""
    return str(file.relative_to(root) if file.is_relative_to(root) else file)


def layout_of_table(path: Path, columns: Sequence[str] = ()) -> Layout:
    """Return the photos that a table names. Raises `UsageError` for one that cannot be understood."""
    rows = rows_of(path, columns)
    return layout_of_rows(rows, path.parent, path.stem, path, path.name, path.parent)


def layout_of_rows(
    rows: Sequence[Row],
    base: Path,
    name: str,
    source: Path,
    table: str,
    root: Path,
    packed: bool = False,
) -> Layout:
    """Return the photos that a table's rows name.

    base: the table's folder. table: its name, in messages. packed: it may name nothing outside of `root`.
    """
    left_out: dict[str, list[str]] = {}
    labels: dict[Path, tuple[str, str] | None] = {}
    bases = [base, *sorted(folder for folder in base.iterdir() if _may_hold(folder))]
    most = max(bases, key=lambda folder: sum((folder / row.path).is_file() for row in rows[:20]))
    for row in rows:
        file = _spelt(most / row.path)
        if why := _why_not(row, file, root if packed else None):
            left_out.setdefault(why, []).append(row.path)
            continue
        said = row.part or "train", unicodedata.normalize("NFC", row.label)
        if labels.setdefault(file, said) != said:
            labels[file] = None
    listing: Listing = {}
    for file, known in sorted(labels.items()):
        if known is None:
            left_out.setdefault(TWICE, []).append(relative(file, root))
        else:
            listing.setdefault(known[0], {}).setdefault(known[1], []).append(file)
    classes = sorted({label for of_part in listing.values() for label in of_part}, key=_in_order)
    if "train" not in listing or len(classes) < 2:
        missing = len(left_out.get(MISSING, ()))
        why = f" ({plural(missing, 'file')} that it names are not there)" if missing else ""
        found = f"only one class ('{classes[0]}')" if len(classes) == 1 else "no photo to train on"
        raise UsageError(f"the table {table} gives {found}{why}: two classes are the least")
    for part in PARTS:
        lacking = [label for label in classes if part in listing and label not in listing[part]]
        if lacking:
            raise UsageError(f"the table {table} has no photo of '{lacking[0]}' in the part {part}")
    arranged = {part: {label: listing[part][label] for label in classes} for part in PARTS if part in listing}
    return Layout(source, root, name, arranged, tallied(left_out))


def _spelt(file: Path) -> Path:
    """Return a file as its name is spelt on this disk: with letters composed, or as macOS writes them."""
    forms = (file, *(Path(unicodedata.normalize(form, str(file))) for form in ("NFC", "NFD")))
    return next((form for form in forms if form.is_file()), file)


def _why_not(row: Row, file: Path, inside: Path | None) -> str | None:
    """Return why a row gives no photo; None where it does. inside: the folder that it has to be in."""
    if not row.label:
        return UNLABELLED
    if inside and inside.resolve() not in file.resolve().parents:
        return OUTSIDE
    return left_out_as(file) if file.is_file() else MISSING


def _may_hold(folder: Path) -> bool:
    return folder.is_dir() and label_named(folder.name).casefold() in WRAPPERS


def _in_order(label: str) -> tuple[bool, int, str]:
    """Sort numbers as numbers, before names."""
    return (not label.isdecimal(), int(label) if label.isdecimal() else 0, label)
