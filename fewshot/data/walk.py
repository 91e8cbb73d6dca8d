"""All files below a folder, in order: links followed, junk and what this project wrote left alone."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from fewshot.data.kinds import left_out_as
from fewshot.io.files import is_output

# What systems and programs put beside the photos; hidden names (`.git`, `.DS_Store`) are junk, too.
JUNK = {
    *("__macosx", "@eadir", "#recycle", "lost+found", "__pycache__", "$recycle.bin"),
    *("system volume information", "thumbs.db", "desktop.ini", "ehthumbs.db"),
}
TABLES = {".csv", ".tsv", ".parquet"}
Identity: TypeAlias = tuple[int, int]  # of a folder: its device and number
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
    """Return what is below a folder, however deep.

    Linked folders are followed, each once below each of the folders at the top. Raises `OSError` where the
    folder itself cannot be read.
    """
    contents = Contents()
    state = root.stat()
    inside = [_Folder(root, Path(), (state.st_dev, state.st_ino), _entries(root))]
    linked: set[Identity] = set()  # where links led to, below the current folder at the top
    while inside:
        here = inside[-1]
        if here.left:
            folder = _take(here, here.left.pop(), contents)
            if len(inside) == 1:
                linked = set()
            if folder and (
                entered := _entered(*folder, {above.identity for above in inside}, linked, contents)
            ):
                inside.append(entered)
        else:
            inside.pop()
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


@dataclass
class _Folder:
    """A folder that is being looked into. left: what is still to be looked at, the next one last."""

    path: Path
    relative: Path
    identity: Identity
    left: list[os.DirEntry[str]]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder holds, junk left out, in the order of names from the end."""
    return sorted(
        (entry for entry in os.scandir(folder) if not is_junk(entry.name)),
        key=lambda entry: entry.name,
        reverse=True,
    )


def _take(folder: _Folder, entry: os.DirEntry[str], contents: Contents) -> tuple[Path, Path] | None:
    """Take in an entry of a folder; return a folder's path, and the same relative to the root."""
    path, place = folder.path / entry.name, folder.relative / entry.name
    # A link is asked where it leads; of all others the listing knows already what they are.
    known = path if entry.is_symlink() else entry
    if known.is_dir():
        if not is_output(path):
            return path, place
        contents.outputs.append(place)
    elif not known.is_file():
        contents.leave_out(BROKEN if path.is_symlink() else "no files", place)
    elif reason := left_out_as(path):
        contents.leave_out(reason, place)
        if path.suffix.lower() in TABLES:
            contents.tables.append(place)
    else:
        contents.files.append(place)
    return None


def _entered(
    path: Path, relative: Path, above: set[Identity], linked: set[Identity], contents: Contents
) -> _Folder | None:
    """Return a folder to look into; None, and note why, where it is not looked into.

    above: the folders that it is in. linked: those that links led to, to which it is added.
    """
    try:
        state = path.stat()
        here = state.st_dev, state.st_ino
        if here in above or here in linked:
            contents.leave_out(LEADS_BACK, relative)
            return None
        entries = _entries(path)
    except OSError as error:
        contents.leave_out(f"folders not to be opened ({error.strerror or error})", relative)
        return None
    if path.is_symlink():
        linked.add(here)
    contents.folders.append(relative)
    return _Folder(path, relative, here, entries)
