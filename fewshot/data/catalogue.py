"""The datasets by name, and the way from a name or a folder to images ready to be read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from fewshot.data.dataset import Dataset, Splits
from fewshot.data.depth import Levels
from fewshot.data.folder import SMALL, layout_of, notes_of, prepare_photos
from fewshot.data.sources import (
    Damaged,
    content_of,
    first_available,
    open_prepared,
    prepared_once,
    read_files,
    read_meta,
    save,
)
from fewshot.data.tally import Tally, merged
from fewshot.data.walk import TABLES
from fewshot.errors import UsageError, field, unknown
from fewshot.io.cache import cache_dir, set_aside
from fewshot.registry import Definition, Registry

# A dataset is a function `(data_dir) -> sources`, in the order in which they are tried. It must be cheap:
# the sources are asked only when the cache is empty. Traits, all optional: `pin`, the fingerprint that the
# content must have; `side`, of its images; `protocol` and `ways`, the defaults for tasks; `note`, for help.
datasets = Registry("dataset")

IMAGE_SIZE = SMALL  # of a folder's images, unless another is asked for
VIEW_SIZE = 224  # … and of their views
FOLDER_PROTOCOL = "distinct"  # near-duplicates, which photos come with, never stand on both sides
USUAL_PROTOCOL, USUAL_WAYS = "stratified", 2  # of a dataset that does not say


def listed() -> str:
    """Return the names of the datasets, as help says them, with what is to be known of their files."""
    notes = {name: datasets[name].traits.get("note") for name in datasets}
    return ", ".join(f"{name} ({note})" if note else name for name, note in notes.items())


def default_protocols() -> str:
    """Return, in words, which protocol draws tasks of which data by default."""
    names: dict[str, list[str]] = {}
    for name in datasets:
        names.setdefault(datasets[name].traits.get("protocol", USUAL_PROTOCOL), []).append(name)
    parts = [f"{protocol} for {', '.join(of)}" for protocol, of in names.items()]
    return "; ".join([*parts, f"{FOLDER_PROTOCOL} for a folder"])


@dataclass(frozen=True)
class DataSpec:
    """What the command line says about the data: a name, or photos (a folder, a table, a zip) and their size.

    views: photos in all their views (`fewshot.data.views`), (N, V, size, size, 3).
    columns: of a table, the names of those with path, label and perhaps the part.
    """

    data: str = "cifar10"
    image_size: int | None = None
    views: bool = False
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A dataset that lies in the cache. Small and picklable: workers get this, not the images.

    directory: the folder that the user's photos are in. source: what the user named, or where it is from.
    notes: what is to be known of it, a line each. left_out: photos that are not among its images, and why.
    """

    name: str
    folder: Path
    classes: tuple[str, ...]
    fingerprint: str
    default_protocol: str
    default_ways: int | None
    notes: tuple[str, ...] = ()
    directory: Path | None = None
    source: str = ""
    left_out: tuple[Tally, ...] = ()

    @property
    def levels(self) -> Levels:
        """The ranges that photos of more than 8 bits were scaled from, where the files declare none."""
        return read_meta(self.folder)["levels"]

    def files(self, part: str = "train") -> list[str]:
        """Return the files of a part's images, relative to `directory`, in the order of the images.

        A named dataset, and arrays, have none.
        """
        return read_files(self.folder).get(part, [])

    def photos(self) -> list[Path]:
        """Return the files of all parts' images, in the order of `Splits.whole`."""
        if self.directory is None:
            return []
        return [self.directory / file for files in read_files(self.folder).values() for file in files]


def prepare(spec: DataSpec, data_dir: str | Path | None = None, least_classes: int = 2) -> Prepared:
    """Return the dataset, fetched or decoded into the cache if it is not there yet.

    data_dir: where the files of a named dataset lie, in place of any download; `FEWSHOT_DATA_DIR` if None.
    least_classes: that a folder of photos must have.

    Raises `UsageError` for an unknown name or an unfit folder, `FewshotError` if no source can serve.
    """
    directory, source = None, ""
    notes: tuple[str, ...] = ()
    left_out: tuple[Tally, ...] = ()
    if spec.data in datasets:
        definition = datasets[spec.data]
        if spec.image_size is not None and spec.image_size != definition.traits.get("side"):
            raise UsageError(
                f"{field('image_size')} is for a folder of images: those of {spec.data} come in their own"
            )
        if spec.columns:
            raise UsageError(f"{field('columns')} is for a table of photos. Received: {spec.data}")
        data_dir = data_dir or os.environ.get("FEWSHOT_DATA_DIR")
        folder = _prepare_named(definition, Path(data_dir).expanduser() if data_dir else None)
        protocol = definition.traits.get("protocol", USUAL_PROTOCOL)
        ways = definition.traits.get("ways", USUAL_WAYS)
    elif _is_there(path := Path(spec.data).expanduser()):
        layout = layout_of(path, spec.columns, least_classes)
        usual = VIEW_SIZE if spec.views else IMAGE_SIZE
        folder = prepare_photos(layout, usual if spec.image_size is None else spec.image_size, spec.views)
        left_out = merged(layout.left_out, read_meta(folder)["left_out"])
        notes = (*notes_of(layout, folder), *(tally.line("left out: ") for tally in left_out))
        protocol, ways, directory, source = FOLDER_PROTOCOL, None, layout.root, str(layout.source)
    elif path.name != spec.data:
        raise UsageError(f"no such directory: {spec.data}")
    else:
        raise UsageError(
            f"{unknown('dataset', spec.data, datasets)}; or give a folder with one sub-folder per class"
        )
    meta = read_meta(folder)
    return Prepared(
        name=spec.data if spec.data in datasets else meta["name"],
        folder=folder,
        classes=tuple(meta["classes"]),
        fingerprint=meta["fingerprint"],
        default_protocol=protocol,
        default_ways=ways,
        notes=notes,
        directory=directory,
        source=source or meta["source"],
        left_out=left_out,
    )


def _is_there(path: Path) -> bool:
    """Return whether a path is what photos can be read from."""
    return path.is_dir() or (path.is_file() and path.suffix.lower() in (*TABLES, ".zip"))


def open_splits(folder: Path) -> Splits:
    """Return the images of a prepared folder, memory-mapped, opened once a process and whenever it is new."""
    with suppress(OSError):  # a folder that is not there is damaged, and said to be when it is opened
        return _opened(folder, folder.stat().st_ino)
    return open_prepared(folder)


@lru_cache(maxsize=4)
def _opened(folder: Path, number: int) -> Splits:
    return open_prepared(folder)


def open_whole(prepared: Prepared, labels: Sequence[int] = ()) -> tuple[Dataset, list[Path]]:
    """Return the images of all parts, or those with some labels, and the files that they are of."""
    images, photos = open_splits(prepared.folder).whole(), prepared.photos()
    if not labels:
        return images, photos
    chosen = np.flatnonzero(np.isin(images.y, labels))
    return images.take(chosen), [photos[i] for i in chosen] if photos else []


def verify(prepared: Prepared) -> None:
    """Compare all images and labels with the fingerprint, once a process.

    `prepare` has done so; images may come from elsewhere, or have changed since. Raises `FewshotError` if the
    cache is damaged, which then is set aside: the next run makes it anew.
    """
    content = content_of(prepared.folder)
    if content != prepared.fingerprint:
        why = f"fingerprint {content[:12]} instead of {prepared.fingerprint[:12]}"
        try:
            set_aside(prepared.folder, f"the cache folder {prepared.folder} is damaged ({why})")
        except OSError as error:
            raise Damaged(prepared.folder, why) from error
        raise Damaged(prepared.folder, why, "run again, which computes it anew")


def _prepare_named(definition: Definition, data_dir: Path | None) -> Path:
    sources, pin = definition(data_dir), definition.traits.get("pin")

    def build(temporary: Path) -> None:
        with tempfile.TemporaryDirectory(dir=temporary) as scratch:
            source, splits = first_available(definition.name, sources, Path(scratch), pin)
        save(splits, temporary, source)

    name = f"{definition.name}-v{definition.version}".replace(" ", "-")
    return prepared_once(cache_dir() / "data" / name, build, pin)
