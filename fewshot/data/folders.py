"""The photos below a folder, their classes and parts read from the folders that they lie in.

    photos/cats/*.jpg                a folder a class
    photos/train/cats/*.jpg          below parts; any usual spelling: Training, test_images, valid, …
    photos/cats/train/*.jpg          parts below classes
    photos/photos/cats/*.jpg         one folder around them, as archives have it
    photos/*.jpg, photos/labels.csv  a table that says what each is

What could be meant in two ways is not guessed: one line says which folder to name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fewshot.data.layout import WRAPPERS, Layout, Listing, layout_of_rows
from fewshot.data.spelling import PARTS, label_named, part_named, shared_words
from fewshot.data.tables import find_table
from fewshot.data.tally import tallied
from fewshot.data.walk import Contents, walk
from fewshot.errors import UsageError
from fewshot.wording import plural, readable

UNSORTED = "in no class's folder"


def layout_of_folder(
    root: Path, name: str = "", source: Path | None = None, packed: bool = False, least: int = 2
) -> Layout:
    """Return the photos below a folder.

    packed: it is what an archive holds; a single folder around everything is nothing to ask about.
    least: classes that there must be; with one, photos that lie directly in the folder are a class.

    Raises `UsageError` for what is no dataset, or could be meant in several ways; `OSError` where the folder
    cannot be read.
    """
    source = source or root
    if not root.is_dir():
        raise UsageError(f"no such directory: {source}")
    contents = walk(root)
    return _Arranging(root, name or root.name, source, contents, packed, least).layout()


def _named(folders: Sequence[str]) -> dict[str, str]:
    """Return folder → part, of those that stand for one; words that all share count where none does."""
    named = {folder: part for folder in folders if (part := part_named(folder))}
    if named:
        return named
    shared = shared_words(folders)
    named = {folder: part for folder in folders if (part := part_named(folder, shared))}
    return named if len(named) == len(folders) and "train" in named.values() else {}


class _Arranging:
    """One look at the contents of a folder."""

    def __init__(self, root: Path, name: str, source: Path, contents: Contents, packed: bool, least: int):
        self.root, self.name, self.source, self.packed, self.least = root, name, source, packed, least
        self.contents = contents
        self.children: dict[Path, list[str]] = {}
        for folder in contents.folders:
            self.children.setdefault(folder.parent, []).append(folder.name)

    def layout(self) -> Layout:
        """Return the photos with their classes and parts, or raise `UsageError`."""
        top = Path()
        listing: Listing
        while True:
            folders, loose = self._below(top)
            if parts := self._parts(top, folders):
                listing = {part: self._classes(top / folder) for part, folder in parts.items()}
                break
            holding = [folder for folder, files in folders.items() if files]
            if len(holding) <= 1 and (table := self._table(top)):
                return table
            if len(holding) == 1 and not loose and self._wraps(top, holding[0]):
                top /= holding[0]
                continue
            listing = self._divided(top, folders) or {"train": self._classes(top)}
            break
        if self.least == 1 and loose and not listing["train"]:
            listing = {"train": {(self.root / top).name: loose}}
        self._check(top, listing)
        absolute = {
            part: {
                label: [self.root / file for file in files] for label, files in sorted(listing[part].items())
            }
            for part in PARTS
            if part in listing
        }
        return Layout(
            self.source, self.root, self.name, absolute, tallied(self.contents.left_out), self._notes(top)
        )

    def _notes(self, top: Path) -> tuple[str, ...]:
        notes = [f"read from {self._shown(top)}"] if top.parts else []
        outputs = ", ".join(readable(folder) for folder in self.contents.outputs)
        return (*notes, f"not looked into, as fewshot wrote it: {outputs}") if outputs else tuple(notes)

    def _shown(self, place: Path) -> str:
        return readable(self.source / place) if not self.packed else readable(place)

    def _below(
        self, top: Path, files: Sequence[Path] | None = None
    ) -> tuple[dict[str, list[Path]], list[Path]]:
        """Return the folders directly below one, with all files in each, and the files directly in it.

        files: all that are below `top`, where that is known: there may be many, and many folders.
        """
        depth = len(top.parts)
        if files is None:
            files = [file for file in self.contents.files if file.parts[:depth] == top.parts]
        folders: dict[str, list[Path]] = {name: [] for name in sorted(self.children.get(top, ()))}
        loose = []
        for file in files:
            if len(file.parts) == depth + 1:
                loose.append(file)
            else:
                folders[file.parts[depth]].append(file)
        return folders, loose

    def _parts(self, top: Path, folders: Mapping[str, list[Path]]) -> dict[str, str]:
        """Return part → folder, where the folders are parts; nothing where they are not."""
        holding = [folder for folder, files in folders.items() if files]
        named = _named(holding)
        others = [folder for folder in holding if folder not in named]
        kinds = set(named.values())
        told = " and ".join(f"{self._shown(top / folder)}/" for folder in named)
        told += " look like parts" if len(named) > 1 else " looks like a part"
        beside = "beside them" if len(named) > 1 else "beside it"
        divides = ("train" in kinds and len(kinds) > 1) or self._hold_classes(top, folders, named, others)
        if not named or (others and not divides):
            return {}
        if others:
            raise UsageError(
                f"{told}, but {readable(others[0])}/ {beside} does not: parts are train/, val/ and "
                f"test/; name one folder, or move {readable(others[0])}/ elsewhere"
            )
        if len(kinds) < len(named):
            twice = next(part for part in named.values() if list(named.values()).count(part) > 1)
            both = " and ".join(readable(folder) for folder, part in named.items() if part == twice)
            raise UsageError(f"{told}, but two of them are the same ({both}): keep one")
        flat = [folder for folder in named if not any(self._below(top / folder, folders[folder])[0].values())]
        if len(named) == len(flat) == 1:
            return {}  # photos in one folder: perhaps a table says more
        if flat:
            raise UsageError(
                f"{told}, but the photos of {self._shown(top / flat[0])}/ are in no folder "
                "of a class: sort them into such, or name the folder or the table to use"
            )
        if "train" not in kinds:
            raise UsageError(
                f"{told}, but nothing is there to train on: add train/, or name the folder to use"
            )
        return {part: folder for folder, part in named.items()}

    def _hold_classes(
        self, top: Path, folders: Mapping[str, list[Path]], named: Iterable[str], others: Sequence[str]
    ) -> bool:
        """Return whether one of the folders that are named as parts are holds classes, as a part does.

        Such as those beside it; or several folders that the others do not have, as visits of one place.
        """
        beside = {label_named(folder) for folder in others}
        for folder in named:
            inner, loose = self._holding(top, folder, folders)
            same = all(self._holding(top, other, folders)[0] == inner for other in others)
            if inner & beside or (len(inner) > 1 and not loose and not same):
                return True
        return False

    def _holding(
        self, top: Path, folder: str, folders: Mapping[str, list[Path]]
    ) -> tuple[set[str], list[Path]]:
        """Return the names of the folders in one that hold photos, and the photos directly in it."""
        inner, loose = self._below(top / folder, folders[folder])
        return {label_named(name) for name, files in inner.items() if files}, loose

    def _wraps(self, top: Path, folder: str) -> bool:
        """Return whether the only folder is there to hold the folders of the classes."""
        inner = [name for name, files in self._below(top / folder)[0].items() if files]
        usual = label_named(folder).casefold() in {top.name.casefold(), self.name.casefold(), *WRAPPERS}
        archive = self.packed and not top.parts
        return bool(inner) and (archive or usual or all(map(part_named, inner)))

    def _classes(self, top: Path) -> dict[str, list[Path]]:
        """Return class → files; folders of one name, written in two ways, are one class."""
        folders, loose = self._below(top)
        for file in loose:
            if folders:
                self.contents.leave_out(UNSORTED, file)
        classes: dict[str, list[Path]] = {}
        for folder, files in folders.items():
            classes.setdefault(label_named(folder), []).extend(files)
        return {label: sorted(files) for label, files in classes.items()}

    def _divided(self, top: Path, folders: Mapping[str, list[Path]]) -> Listing | None:
        """Return the listing where each class is divided into parts; None where none is."""
        listing: Listing = {}
        whole = []
        for folder, files in folders.items():
            inner, loose = self._below(top / folder, files)
            holding = [name for name, of_name in inner.items() if of_name]
            parts = [part_named(name) for name in holding]
            if loose or not holding or not all(parts) or len(set(parts)) < len(parts):
                if files:
                    whole.append(folder)
                continue
            for name, part in zip(holding, parts, strict=True):
                listing.setdefault(str(part), {}).setdefault(label_named(folder), []).extend(inner[name])
        if "train" not in listing or len(listing) < 2:
            return None
        if whole:
            one = next(iter(listing["train"]))
            raise UsageError(
                f"{self._shown(top / one)}/ is divided into parts, {self._shown(top / whole[0])}/ is not: "
                "divide all classes, or none"
            )
        return listing

    def _table(self, top: Path) -> Layout | None:
        """Return the layout that a table beside the photos gives; None where there is none."""
        tables = [table for table in self.contents.tables if table.parent == top]
        found = find_table([self.root / table for table in tables])
        if found is None:
            return None
        path, rows = found
        table = self._shown(top / path.name)
        layout = layout_of_rows(rows, path.parent, self.name, self.source, table, self.root, self.packed)
        for files in self.contents.left_out.values():
            files[:] = [file for file in files if self.root / file != path]
        named = set(layout.files)
        for file in self.contents.files:
            if self.root / file not in named:
                self.contents.leave_out(f"not in {path.name}", file)
        left_out = tallied(self.contents.left_out)
        return Layout(
            self.source,
            self.root,
            self.name,
            layout.listing,
            (*layout.left_out, *left_out),
            (f"read from the table {self._shown(top / path.name)}", *self._notes(Path())),
        )

    def _check(self, top: Path, listing: Listing) -> None:
        """Raise `UsageError` where there are too few classes, or not the same in all parts."""
        where, classes = self._shown(top), listing["train"].keys()
        _, loose = self._below(top)
        if not classes:
            held = f" ({plural(len(loose), 'photo')} lie directly in it)" if loose else ""
            held += "".join(f" ({note})" for note in self._notes(Path()))
            raise UsageError(
                f"{where} is no dataset: it needs one sub-folder of images per class{held}, or a table "
                "with the columns path and label"
            )
        if len(classes) < self.least:
            (only,) = classes
            inner = len({file.parts[: len(top.parts) + 2] for file in self.contents.files})
            hint = f"; if its folders are the classes, name {self._shown(top / only)}" if inner > 1 else ""
            hint += "".join(f" ({note})" for note in self._notes(Path()))
            raise UsageError(f"{where} holds only one class ('{only}'): two are the least{hint}")
        for part, files in listing.items():
            if differing := sorted(classes ^ files.keys()):
                raise UsageError(
                    f"{where}: the classes of train/ and {part}/ differ in '{readable(differing[0])}'; "
                    "make them agree"
                )
