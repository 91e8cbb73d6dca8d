"""A zip of photos, unpacked into the cache: once for its content, and nothing of it anywhere else.

An archive may come from anybody. Entries that lead out of it and links are left out and counted; one that
would unpack to far more than photos do, or to more than the disk holds, is refused before it is written.
"""

from __future__ import annotations

import errno
import lzma
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from fewshot.data.tally import Tally, tallied
from fewshot.data.walk import is_junk
from fewshot.errors import UsageError
from fewshot.io.cache import build_once, cache_dir
from fewshot.io.digests import sha256_once
from fewshot.wording import one_line, plural, readable

RATIO = 100  # times an archive's size that it may unpack to: photos hardly shrink
FREE = 1 << 26  # bytes that any archive may unpack to
MOST = 2_000_000  # entries
DEEPEST = 64  # folders, one in another
BLOCK = 1 << 20
OUTSIDE, LINKS = "outside of the archive", "links, which are not followed in an archive"
# What the names of an archive's entries are to blame for, not the disk.
NAMES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}


def unpacked(path: Path) -> Path:
    """Return the folder of an archive's files. Raises `UsageError` for one that is not safe, or is none."""
    try:
        size, digest = path.stat().st_size, sha256_once(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return build_once(
        cache_dir() / "data" / f"archive-{digest[:24]}", lambda folder: _unpack(path, size, folder)
    )


def dropped(path: Path) -> tuple[Tally, ...]:
    """Return what of an archive is not unpacked, junk aside, counted by its reason."""
    left_out: dict[str, list[str]] = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.is_dir() and not _is_junk(entry) and (why := _why_not(entry)):
                left_out.setdefault(why, []).append(entry.filename)
    return tallied(left_out)


BROKEN = zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError


def _unpack(path: Path, size: int, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            files = [entry for entry in archive.infolist() if not entry.is_dir()]
            safe = [entry for entry in files if not (_is_junk(entry) or _why_not(entry))]
            entries = list({_place(entry): entry for entry in safe}.values())  # the last of a name counts
            _check(path, entries, size, shutil.disk_usage(folder).free)
            for entry in entries:
                _write(archive, entry, folder)
    except OSError as error:
        if error.errno is not None and error.errno not in NAMES:  # the disk is full, or such
            raise
        raise UsageError(f"cannot unpack {path}: {one_line(error)}") from error
    except (*BROKEN, NotImplementedError, RuntimeError, ValueError) as error:
        raise UsageError(f"cannot unpack {path}: {one_line(error)}") from error


def _place(entry: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(entry.filename.replace("\\", "/"))


def _is_junk(entry: zipfile.ZipInfo) -> bool:
    """Return whether an entry is one of those that systems add, or names nothing."""
    parts = _place(entry).parts
    return not parts or any(is_junk(part) for part in parts if part != "..")


def _why_not(entry: zipfile.ZipInfo) -> str:
    """Return why an entry is not unpacked; "" for a file inside of the archive."""
    place = _place(entry)
    if place.is_absolute() or ":" in place.parts[0] or ".." in place.parts:
        return OUTSIDE
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return LINKS
    return "" if kind in (0, stat.S_IFREG) else "no files"


def _check(path: Path, entries: list[zipfile.ZipInfo], size: int, free: int) -> None:
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MOST or total > max(RATIO * size, FREE):
        raise UsageError(
            f"{path} would unpack to {plural(len(entries), 'file')} of {total / 1e9:,.1f} GB, which is not "
            "what photos do: unpack it yourself, if you trust it"
        )
    if deep := next((entry for entry in entries if len(_place(entry).parts) > DEEPEST), None):
        raise UsageError(f"{path} has more than {DEEPEST} folders in one another: {deep.filename:.60}…")
    if total > 0.9 * free:
        raise UsageError(
            f"{path} unpacks to {total / 1e9:,.1f} GB, and the cache has room for {free / 1e9:,.1f}"
        )
    if locked := next((entry for entry in entries if entry.flag_bits & 1), None):
        raise UsageError(f"{path} is locked by a password ({readable(locked.filename)}): unpack it yourself")


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """Write an entry, no more of it than it says it has."""
    target = folder / _place(entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with archive.open(entry) as packed, target.open("xb") as file:
        while block := packed.read(BLOCK):
            left -= len(block)
            if left < 0:
                raise zipfile.BadZipFile(f"{readable(entry.filename)} is longer than it says")
            file.write(block)
