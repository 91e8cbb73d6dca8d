"""The user's own photos, decoded into the cache: from a folder, a table or a zip.

Images come as cameras, scanners and phones write them; they leave as RGB squares of one size. What is left
out is counted by its reason. Decoded once: the cache remembers the files by path, size and time.

Photos are prepared in several renditions: small squares for networks from scratch, larger ones, all views
of each photo. The small one comes first and decides for all of them which files there are, in which order,
and which are near-duplicates: tasks are the same whatever a method looks at.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fewshot.data import duplicates
from fewshot.data.archive import dropped, unpacked
from fewshot.data.dataset import Dataset, Splits
from fewshot.data.decoding import check_memory, decoded, levels_of, with_levels
from fewshot.data.depth import Levels
from fewshot.data.folders import layout_of_folder
from fewshot.data.kinds import AVIF, HEIC, formats, why_unreadable
from fewshot.data.layout import Layout, layout_of_table, relative
from fewshot.data.photo import load_image, load_views
from fewshot.data.sources import FILES, Decoding, prepared_once, read_meta, save, write_meta
from fewshot.data.tally import Tally, merged, tallied
from fewshot.data.views import VERSION as VIEWS_VERSION
from fewshot.data.views import VIEWS
from fewshot.data.walk import TABLES
from fewshot.errors import FewshotError, UsageError, field
from fewshot.io import progress
from fewshot.io.cache import cache_dir
from fewshot.machine import space
from fewshot.wording import plural, readable

VERSION = 5  # of the decoding; part of the cache key
SMALL = 32  # pixels of the first rendition, in which near-duplicates are found
FAINT = 32  # of 255: no value reaches it in a photo of which 16 bits were to be seen, and few are used
BLACK, EVEN, DARK = "black all over", "of one colour all over", "nearly black: no value above 31 of 255"


def layout_of(source: Path, columns: Sequence[str] = (), least: int = 2) -> Layout:
    """Return which photos a folder, a table or a zip holds, with their classes and parts.

    columns: of a table, the names of those with path, label and perhaps the part. least: classes that a
    folder must have; where one will do, photos that lie directly in it are a class, too.

    Raises `UsageError` for what is none, or cannot be understood.
    """
    source = source.resolve()
    suffix = source.suffix.lower()
    if columns and suffix not in TABLES:
        raise UsageError(f"{field('columns')} is for a table of photos. Received: {source}")
    try:
        if source.is_file() and suffix in TABLES:
            return layout_of_table(source, columns)
        if source.is_file() and suffix == ".zip":
            layout = layout_of_folder(unpacked(source), source.stem, source, True, least)
            return replace(layout, left_out=merged(layout.left_out, dropped(source)))
        return layout_of_folder(source, least=least)
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error


def prepare_photos(layout: Layout, image_size: int, all_views: bool = False) -> Path:
    """Return the cache folder of photos, decoded now if they are new or have changed.

    all_views: each photo in all its views, (N, V, size, size, 3), in place of its centre.

    Raises `UsageError` if a class has no readable photo.
    """
    if image_size < 1:
        raise UsageError(f"{field('image_size')} must be 1 or more. Received: {image_size}")
    try:
        files = _stamps(layout)
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error
    small, readers = _small(layout, files)
    if image_size == SMALL and not all_views:
        return small
    rendition = [image_size, *((*VIEWS, VIEWS_VERSION) if all_views else ()), *readers]
    return prepared_once(
        _place(layout, files, rendition),
        lambda temporary: _render_again(layout, small, image_size, all_views, temporary),
    )


def notes_of(layout: Layout, folder: Path) -> tuple[str, ...]:
    """Return what is to be known of prepared photos beside what is left out, a line each."""
    meta = read_meta(folder)
    levels = [
        f"{kind}: where a file does not say what it uses, {_told(low)} to {_told(high)} become 0 to 255"
        for kind, (low, high) in meta["levels"].items()
    ]
    return (*layout.notes, *levels, *(tally.line() for tally in meta["blank"]))


def _told(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:.4g}"


def _small(layout: Layout, files: list[tuple]) -> tuple[Path, list[str]]:
    """Return the cache folder of the small rendition, and what has been able to read files since.

    Files that were left out for want of a package are decoded once it is there.
    """

    def build(readers: list[str]) -> Path:
        place = _place(layout, files, [SMALL, *readers])
        return prepared_once(place, lambda temporary: _prepare_small(layout, temporary))

    folder = build([])
    wanting = {"HEIF": HEIC, "AVIF": AVIF}
    missing = {tally.what for tally in read_meta(folder)["left_out"]}
    readers = [kind for kind, why in wanting.items() if why in missing and kind in formats()]
    return (build(readers), readers) if readers else (folder, [])


def _prepare_small(layout: Layout, folder: Path) -> None:
    """Decode all files into small squares, and find out which are readable and which near-duplicates."""
    levels = levels_of(layout.files)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        splits, files, left_out, blank = decode(layout, SMALL, Path(scratch), levels)
        save(splits, folder, str(layout.source), Decoding(levels, left_out, blank))
        for name, numbers in _near_duplicates(splits).items():
            np.save(folder / f"{name}_groups.npy", numbers)
    (folder / FILES).write_text(json.dumps(files), encoding="utf-8")


def _near_duplicates(splits: Splits) -> dict[str, np.ndarray]:
    """Return part → the group numbers of its images, the same in all parts for near-duplicates."""
    numbers = duplicates.groups(splits.whole())
    ends = np.cumsum([len(part) for part in splits.parts.values()])
    return dict(zip(splits.parts, np.split(numbers, ends[:-1]), strict=True))


def _render_again(layout: Layout, small: Path, size: int, all_views: bool, folder: Path) -> None:
    """Decode the readable files once more: larger, or in all views; what else is known of them is copied.

    Raises `NoRoom` where memory or disk would not hold them.
    """
    count, views = len(layout.files), len(VIEWS) if all_views else 1
    check_memory(count, size, views)
    what = f"{plural(count, 'photo')} at {size:,}×{size:,} pixels"
    space(3 * count * views * size**2, folder, what, f"a smaller {field('image_size')} fits")
    files = json.loads((small / FILES).read_text(encoding="utf-8"))
    meta = read_meta(small)
    render, shape = (load_views, (len(VIEWS), size, size, 3)) if all_views else (load_image, (size, size, 3))
    read = with_levels(render, meta["levels"])
    parts = {}
    title = f"decoding {size} px{', all views' if all_views else ''}"
    with progress.bar(sum(map(len, files.values())), title, "image") as bar:
        for part, names in files.items():
            x = np.lib.format.open_memmap(folder / f"{part}_x.npy", "w+", np.uint8, (len(names), *shape))
            for i, image in enumerate(decoded([layout.root / name for name in names], size, read)):
                if isinstance(image, Exception):
                    raise FewshotError(
                        f"{readable(layout.root / names[i])} cannot be read any more ({image}): run again"
                    )
                x[i] = image
                bar.update()
            x.flush()
            parts[part] = x
    for pattern in ("*_y.npy", "*_groups.npy", FILES):
        for path in small.glob(pattern):
            shutil.copy(path, folder)
    classes = tuple(meta["classes"])
    labelled = {part: Dataset(x, np.load(folder / f"{part}_y.npy"), classes) for part, x in parts.items()}
    known = Decoding(meta["levels"], meta["left_out"], meta["blank"])
    write_meta(Splits(meta["name"], **labelled), folder, str(layout.source), known)


def decode(
    layout: Layout, image_size: int, scratch: Path, levels: Levels
) -> tuple[Splits, dict[str, list[str]], tuple[Tally, ...], tuple[Tally, ...]]:
    """Return the images as splits, the files they are of, what is left out, and what shows nothing.

    Files are named relative to the layout's folder. The images lie in files in `scratch`: there may be more
    of them than fit into the memory.
    """
    listing, read = layout.listing, with_levels(load_image, levels)
    classes = tuple(listing["train"])
    parts: dict[str, Dataset] = {}
    names: dict[str, list[str]] = {}
    left_out: dict[str, list[str]] = {}
    blank: dict[str, list[str]] = {}
    with progress.bar(len(layout.files), "decoding", "image") as bar:
        for part, files_of in listing.items():
            files = [file for name in classes for file in files_of[name]]
            y = np.repeat(np.arange(len(classes)), [len(files_of[name]) for name in classes])
            shape = (max(1, len(files)), image_size, image_size, 3)  # a file of no bytes cannot be mapped
            x = np.memmap(scratch / part, np.uint8, "w+", shape=shape)
            kept: list[int] = []
            for i, image in enumerate(decoded(files, image_size, read)):
                name = relative(files[i], layout.root)
                if isinstance(image, Exception):
                    left_out.setdefault(why_unreadable(files[i], image), []).append(name)
                else:
                    x[len(kept)] = image
                    kept.append(i)
                    if what := _blank(image):
                        blank.setdefault(what, []).append(name)
                bar.update()
            parts[part] = Dataset(x[: len(kept)], y[kept].astype(np.int64), classes)
            names[part] = [relative(files[i], layout.root) for i in kept]
    _check(layout, parts, left_out)
    return Splits(layout.name, **parts), names, tallied(left_out), tallied(blank)


def _blank(image: np.ndarray) -> str | None:
    """Return why next to nothing is to be seen; None for a usual photo."""
    if not image.any():
        return BLACK
    if (image == image[:1, :1]).all():
        return EVEN
    return DARK if image.max() < FAINT else None


def _check(layout: Layout, parts: dict[str, Dataset], left_out: dict[str, list[str]]) -> None:
    """Raise `UsageError` for a class without a readable photo; say what there is of it."""
    for part, dataset in parts.items():
        counts = np.bincount(dataset.y, minlength=len(dataset.classes))
        if counts.all():
            continue
        name = dataset.classes[counts.argmin()]
        own = {relative(file, layout.root) for file in layout.listing[part][name]}
        reasons = [f"{len(own & set(files))} {why}" for why, files in left_out.items() if own & set(files)]
        folder = f"{name}/"
        reasons += [
            f"{plural(tally.count, 'file')}, {tally.what}"
            for tally in layout.left_out
            if any(folder in file for file in tally.files)
        ]
        told = f" ({'; '.join(reasons)})" if reasons else ""
        where = layout.source if len(parts) == 1 else f"the part {part} of {layout.source}"
        raise UsageError(
            f"the class '{name}' in {readable(where)} has no readable image{told}: add some, or remove it"
        )


def _stamps(layout: Layout) -> list[tuple]:
    """Return what tells whether files have changed: elsewhere, others may be as large and as old."""
    return [
        (part, name, relative(file, layout.root), str(file), (stat := file.stat()).st_size, stat.st_mtime_ns)
        for part, classes in layout.listing.items()
        for name, images in classes.items()
        for file in images
    ]


def _place(layout: Layout, files: list[tuple], rendition: list) -> Path:
    """Return the cache folder of one rendition of these files."""
    known = json.dumps([VERSION, duplicates.VERSION, layout.name, rendition, sorted(files)])
    return cache_dir() / "data" / f"folder-{hashlib.sha256(known.encode()).hexdigest()[:24]}"
