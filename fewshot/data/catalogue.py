"""The datasets by name, and the way from a name or a folder to images ready to be read."""

import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fewshot.data.dataset import Splits
from fewshot.data.folder import prepare_folder
from fewshot.data.sources import damaged, first_available, open_prepared, read_meta, save
from fewshot.errors import UsageError, field, unknown
from fewshot.io.cache import build_once, cache_dir
from fewshot.registry import Definition, Registry

# A dataset is a function `(data_dir) -> sources`, in the order in which they are tried. It must be cheap:
# the sources are asked only when the cache is empty. Traits: `pin`, the fingerprint that the content must
# have; `protocol` and `ways`, the defaults for tasks.
datasets = Registry("dataset")

IMAGE_SIZE = 32


@dataclass(frozen=True)
class DataSpec:
    """What the command line says about the data: a name or a folder, and the image size for a folder."""

    data: str = "cifar10"
    image_size: int | None = None


@dataclass(frozen=True)
class Prepared:
    """A dataset that lies in the cache. Small and picklable: workers get this, not the images."""

    name: str
    folder: Path
    classes: tuple[str, ...]
    fingerprint: str
    default_protocol: str
    default_ways: int | None
    notes: tuple[str, ...] = ()


def prepare(spec: DataSpec, data_dir: str | Path | None = None) -> Prepared:
    """Return the dataset, fetched or decoded into the cache if it is not there yet.

    data_dir: where the files of a named dataset lie, in place of any download; `FEWSHOT_DATA_DIR` if None.

    Raises `UsageError` for an unknown name or an unfit folder, `FewshotError` if no source can serve.
    """
    if spec.data in datasets:
        if spec.image_size not in (None, IMAGE_SIZE):
            raise UsageError(
                f"{field('image_size')} is for a folder of images: "
                f"those of {spec.data} are {IMAGE_SIZE} pixels wide"
            )
        definition = datasets[spec.data]
        data_dir = data_dir or os.environ.get("FEWSHOT_DATA_DIR")
        folder = _prepare_named(definition, Path(data_dir).expanduser() if data_dir else None)
        protocol, ways = definition.traits["protocol"], definition.traits["ways"]
    elif (directory := Path(spec.data).expanduser()).is_dir():
        folder = prepare_folder(directory, IMAGE_SIZE if spec.image_size is None else spec.image_size)
        protocol, ways = "distinct", None
    elif directory.name != spec.data:
        raise UsageError(f"no such directory: {spec.data}")
    else:
        raise UsageError(
            f"{unknown('dataset', spec.data, datasets)}; or give a folder with one sub-folder per class"
        )
    meta = read_meta(folder)
    return Prepared(
        name=meta["name"],
        folder=folder,
        classes=tuple(meta["classes"]),
        fingerprint=meta["fingerprint"],
        default_protocol=protocol,
        default_ways=ways,
        notes=tuple(meta["notes"]),
    )


@lru_cache(maxsize=4)
def open_splits(folder: Path) -> Splits:
    """Return the images of a prepared folder, memory-mapped, opened once a process."""
    return open_prepared(folder)


@lru_cache(maxsize=4)
def verify(prepared: Prepared) -> None:
    """Compare all images and labels with the fingerprint, once a process.

    Raises `FewshotError` if the cache is damaged.
    """
    found = open_splits(prepared.folder).fingerprint()
    if found != prepared.fingerprint:
        raise damaged(prepared.folder, f"fingerprint {found[:12]} instead of {prepared.fingerprint[:12]}")


def _prepare_named(definition: Definition, data_dir: Path | None) -> Path:
    sources = definition(data_dir)

    def build(temporary: Path) -> None:
        with tempfile.TemporaryDirectory(dir=temporary) as scratch:
            source, splits = first_available(
                definition.name, sources, Path(scratch), definition.traits["pin"]
            )
        save(splits, temporary, source)

    folder = build_once(cache_dir() / "data" / f"{definition.name}-v{definition.version}", build)
    pin = definition.traits["pin"]
    if pin and (written := read_meta(folder)["fingerprint"]) != pin:
        raise damaged(folder, f"fingerprint {written[:12]} instead of {pin[:12]}")
    return folder
