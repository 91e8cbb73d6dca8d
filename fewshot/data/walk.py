"""All files below a folder, in order: links followed, junk and what this project wrote left alone."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from fewshot.data.kinds import left_out_as
from fewshot.io.files import is_output

# What systems and programs put beside the photos; hidden names (`.git`, `.DS_Store`) are junk, too.
JUNK = {
    *("__macosx", "@eadir", "#recycle", "lost+found", "__pycache__", "$recycle.bin"),
    *("system volume information", "thumbs.db", "desktop.ini", "ehthumbs.db"),
}
TABLES = {".csv", ".tsv", ".parquet"}
LEADS_BACK, BROKEN = "links that lead back", "links that lead nowhere"


@dataclass
class Contents:
    """What is below a folder, relative to it and sorted.

    files: to be decoded. folders: all that are visible, empty ones included. tables: what may say of which
    class photos are. left_out: why → files. outputs: folders that this project wrote.
    """

    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    outputs: list[Path] = field(default_factory=list)

    def leave_out(self, why: str, file: Path) -> None:
        """Note a file that is left out."""
        self.left_out.setdefault(why, []).append(str(file))


def is_junk(name: str) -> bool:
    """Return whether a file or folder of this name is none of the user's photos."""
    return name.startswith(".") or name.casefold() in JUNK


def walk(root: Path) -> Contents:
    """Return what is below a folder.

    Linked folders are followed, each once below each of the folders at the top. Raises `OSError` where the
    folder itself cannot be read.
    """
    contents = Contents()
    state = root.stat()
    _visit(root, Path(), list(os.scandir(root)), {(state.st_dev, state.st_ino)}, set(), contents)
    contents.files.sort()
    contents.folders.sort()
    contents.tables.sort()
    return contents


def images_below(folder: Path) -> list[Path]:
    """Return the image files of a directory and all below it, junk left out, in order."""
    try:
        return [folder / file for file in walk(folder).files]
    except OSError:
        return []


def _visit(
    folder: Path,
    relative: Path,
    entries: list[os.DirEntry[str]],
    above: set[tuple[int, int]],
    linked: set[tuple[int, int]],
    contents: Contents,
) -> None:
    """Take in what a folder holds. above: the folders that it is in. linked: those that links led to."""
    for entry in sorted(entries, key=lambda entry: entry.name):
        if is_junk(entry.name):
            continue
        path, place = folder / entry.name, relative / entry.name
        # A link is asked where it leads; of all others the listing knows already what they are.
        known = path if entry.is_symlink() else entry
        if known.is_dir():
            if is_output(path):
                contents.outputs.append(place)
                continue
            _enter(path, place, above, linked if relative.parts else set(), contents)
        elif not known.is_file():
            contents.leave_out(BROKEN if path.is_symlink() else "no files", place)
        elif reason := left_out_as(path):
            contents.leave_out(reason, place)
            if path.suffix.lower() in TABLES:
                contents.tables.append(place)
        else:
            contents.files.append(place)


def _enter(
    folder: Path,
    relative: Path,
    above: set[tuple[int, int]],
    linked: set[tuple[int, int]],
    contents: Contents,
) -> None:
    try:
        state = folder.stat()
        here = state.st_dev, state.st_ino
        if here in above or here in linked:
            contents.leave_out(LEADS_BACK, relative)
            return
        entries = list(os.scandir(folder))
    except OSError as error:
        contents.leave_out(f"folders not to be opened ({error.strerror or error})", relative)
        return
    if folder.is_symlink():
        linked.add(here)
    contents.folders.append(relative)
    _visit(folder, relative, entries, above | {here}, linked, contents)
