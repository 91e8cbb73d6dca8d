"""The user's own images: a directory with one sub-folder per class, or `train/`, `val/`, `test/` of such.

Images come as cameras, scanners and phones write them; they leave as RGB squares of one size. A file that
cannot be read is named and skipped. Decoded once: the cache remembers the files by path, size and time.

A folder is prepared in several renditions: small squares for networks from scratch, larger ones, all views
of each photo. The small one comes first and decides for all of them which files there are, in which order,
and which are near-duplicates: tasks are the same whatever a method looks at.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewshot.data import duplicates
from fewshot.data.dataset import Dataset, Splits
from fewshot.data.sources import FILES, PARTS, read_meta, save, write_meta
from fewshot.data.views import VERSION as VIEWS_VERSION
from fewshot.data.views import VIEWS, views
from fewshot.errors import FewshotError, UsageError, field
from fewshot.io.cache import build_once, cache_dir

if TYPE_CHECKING:
    from PIL import Image
    from tqdm import tqdm

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
FOREIGN = {".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd", ".dng", ".raw", ".cr2", ".nef", ".arw"}
PART_NAMES = {"val", "valid", "validation", "test"}  # beside train/, these are meant as parts, not classes
SAMPLE = 100  # images that tell how large all are
AHEAD = 64  # images decoded and not yet taken
VERSION = 2  # of the decoding; part of the cache key
SMALL = 32  # pixels of the first rendition, in which near-duplicates are found

# part → class → image files, in a fixed order
Listing = dict[str, dict[str, list[Path]]]


def prepare_folder(directory: Path, image_size: int, all_views: bool = False) -> Path:
    """Return the cache folder of the images below `directory`, decoded now if they are new or have changed.

    all_views: each photo in all its views, (N, V, size, size, 3), in place of its centre.

    Raises `UsageError` if `directory` holds no two classes with readable images.
    """
    if image_size < 1:
        raise UsageError(f"{field('image_size')} must be 1 or more. Received: {image_size}")
    directory = directory.resolve()
    try:
        listing = list_images(directory)
        files = _stamps(directory, listing)
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error
    small = build_once(
        _place(directory, files, [SMALL]), lambda temporary: _prepare_small(directory, listing, temporary)
    )
    if image_size == SMALL and not all_views:
        return small
    rendition = [image_size, *((*VIEWS, VIEWS_VERSION) if all_views else ())]
    return build_once(
        _place(directory, files, rendition),
        lambda temporary: _render_again(directory, small, image_size, all_views, temporary),
    )


def _prepare_small(directory: Path, listing: Listing, folder: Path) -> None:
    """Decode all files into small squares, and find out which are readable and which near-duplicates."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        splits, files, skipped = decode(directory, listing, SMALL, Path(scratch))
        notes = [f"skipped {file}" for file in skipped]
        if others := _others(directory):
            notes.append(f"not read: {others} (JPEG, PNG, BMP, GIF, WebP and TIFF are)")
            print(notes[-1], file=sys.stderr)
        save(splits, folder, str(directory), notes)
        for name, numbers in _near_duplicates(splits).items():
            np.save(folder / f"{name}_groups.npy", numbers)
    (folder / FILES).write_text(json.dumps(files), encoding="utf-8")


def _near_duplicates(splits: Splits) -> dict[str, np.ndarray]:
    """Return part → the group numbers of its images, the same in all parts for near-duplicates."""
    numbers = duplicates.groups(splits.whole())
    ends = np.cumsum([len(part) for part in splits.parts.values()])
    return dict(zip(splits.parts, np.split(numbers, ends[:-1]), strict=True))


def _render_again(directory: Path, small: Path, size: int, all_views: bool, folder: Path) -> None:
    """Decode the readable files once more: larger, or in all views; what else is known of them is copied."""
    files = json.loads((small / FILES).read_text(encoding="utf-8"))
    render, shape = (_views_of, (len(VIEWS), size, size, 3)) if all_views else (load_image, (size, size, 3))
    parts = {}
    with _bar(
        sum(map(len, files.values())), f"decoding {size} px{', all views' if all_views else ''}"
    ) as bar:
        for part, names in files.items():
            x = np.lib.format.open_memmap(folder / f"{part}_x.npy", "w+", np.uint8, (len(names), *shape))
            for i, image in enumerate(decoded([directory / name for name in names], size, render)):
                if isinstance(image, Exception):
                    raise FewshotError(f"{directory / names[i]} cannot be read any more ({image}): run again")
                x[i] = image
                bar.update()
            x.flush()
            parts[part] = x
    for pattern in ("*_y.npy", "*_groups.npy", FILES):
        for path in small.glob(pattern):
            shutil.copy(path, folder)
    meta = read_meta(small)
    classes = tuple(meta["classes"])
    labelled = {part: Dataset(x, np.load(folder / f"{part}_y.npy"), classes) for part, x in parts.items()}
    write_meta(Splits(meta["name"], **labelled), folder, str(directory), meta["notes"])


def _bar(total: int, title: str) -> "tqdm":
    from tqdm import tqdm

    return tqdm(total=total, desc=title, unit="image", disable=None)


def list_images(directory: Path) -> Listing:
    """Return the image files of every class of every part; a directory without parts is all `train`."""
    if not directory.is_dir():
        raise UsageError(f"no such directory: {directory}")
    folders = {folder.name: folder for folder in _visible_folders(directory)}
    if "train" not in folders or not folders.keys() & PART_NAMES:
        listing = {"train": _classes_of(directory)}
    elif others := sorted(folders.keys() - set(PARTS)):
        raise UsageError(f"{directory} holds train/ and also {others[0]}/: parts are train/, val/ and test/")
    else:
        listing = {part: _classes_of(folders[part]) for part in PARTS if part in folders}
    classes = listing["train"].keys()
    if not classes:
        raise UsageError(f"{directory} is no dataset: it needs one sub-folder of images per class")
    if len(classes) == 1:
        raise UsageError(f"{directory} holds only one class ('{next(iter(classes))}'): two are the least")
    for part, files in listing.items():
        if differing := sorted(classes ^ files.keys()):
            raise UsageError(
                f"{directory}: the classes of train/ and {part}/ differ in '{differing[0]}'; make them agree"
            )
    return listing


def decode(
    directory: Path, listing: Listing, image_size: int, scratch: Path
) -> tuple[Splits, dict[str, list[str]], list[str]]:
    """Return the images as splits, the files they are of, and those that cannot be read, with the reason.

    Files are named relative to the directory. The images lie in files in `scratch`: a folder may have more
    of them than fit into the memory.
    """
    classes = tuple(listing["train"])
    total = sum(len(files) for part in listing.values() for files in part.values())
    parts: dict[str, Dataset] = {}
    names: dict[str, list[str]] = {}
    skipped = []
    with _bar(total, "decoding") as bar:
        for part, files_of in listing.items():
            files = [file for name in classes for file in files_of[name]]
            y = np.repeat(np.arange(len(classes)), [len(files_of[name]) for name in classes])
            shape = (max(1, len(files)), image_size, image_size, 3)  # a file of no bytes cannot be mapped
            x = np.memmap(scratch / part, np.uint8, "w+", shape=shape)
            kept: list[int] = []
            for i, image in enumerate(decoded(files, image_size)):
                if isinstance(image, Exception):
                    skipped.append(f"{files[i].relative_to(directory)} ({image or type(image).__name__})")
                else:
                    x[len(kept)] = image
                    kept.append(i)
                bar.update()
            parts[part] = Dataset(x[: len(kept)], y[kept].astype(np.int64), classes)
            names[part] = [str(files[i].relative_to(directory)) for i in kept]
    for file in skipped:
        print(f"skipped {file}", file=sys.stderr)
    for part, dataset in parts.items():
        counts = np.bincount(dataset.y, minlength=len(classes))
        if not counts.all():
            where = directory if len(parts) == 1 else directory / part
            raise UsageError(
                f"the class '{classes[counts.argmin()]}' in {where} has no readable image: add some, "
                "or remove the folder"
            )
    return Splits(directory.name, **parts), names, skipped


def short_side(directory: Path) -> int:
    """Return the largest short side, in pixels, of some images of a dataset; 0 where none can be read."""
    from PIL import Image

    files = images_below(directory)
    sides = [0]
    for file in files[:: -(-len(files) // SAMPLE) or 1]:
        with contextlib.suppress(Exception), Image.open(file, formats=FORMATS) as image:
            sides.append(min(image.size))
    return max(sides)


def load_image(path: Path, size: int) -> np.ndarray:
    """Return one image file as uint8, sizexsizex3: upright, on white, the short side fitted, the centre cut.

    Raises whatever Pillow raises for a file that is no image, is cut off or is absurdly large.
    """
    return square(read_photo(path, size), size)


def _views_of(path: Path, size: int) -> np.ndarray:
    return views(read_photo(path, size), size)


def read_photo(path: Path, size: int) -> "Image.Image":
    """Return one image file as RGB: upright, on white, its short side at least twice `size` if it was so.

    Far larger ones are shrunk as they are decoded: twice the size that is needed leaves the rest to the
    better filter. Raises as `load_image` does.
    """
    from PIL import Image, ImageOps

    with Image.open(path, formats=FORMATS) as file:
        # A JPEG decodes to half, a quarter or an eighth in a fraction of the time.
        file.draft(None, (2 * size, 2 * size))
        image = _to_rgb(ImageOps.exif_transpose(file))
    factor = min(image.size) // (2 * size)
    return image.reduce(factor) if factor > 1 else image


def square(image: "Image.Image", size: int) -> np.ndarray:
    """Return a Pillow image as an array, size×size: the short side fitted, the centre cut."""
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS))


def _to_rgb(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion clips at 255.
        image = Image.fromarray(np.rint(np.asarray(image) / 257.0).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def decoded(
    files: Iterable[Path], size: int, read: Callable[[Path, int], np.ndarray] | None = None
) -> Iterator[np.ndarray | Exception]:
    """Yield each file's image as `read(file, size)` returns it, or the error, in the order of the files.

    Threads decode ahead of who takes the images, but no more than `AHEAD`: that bounds the memory.
    read: `load_image` unless another is given.
    """
    read = read or load_image

    def attempt(file: Path) -> np.ndarray | Exception:
        try:
            return read(file, size)
        except Exception as error:  # Pillow's readers raise OSError, SyntaxError, ValueError and others
            return error

    pool = ThreadPoolExecutor(os.cpu_count())
    waiting: deque[Future[np.ndarray | Exception]] = deque()
    try:
        with _quiet_pillow():
            for file in files:
                waiting.append(pool.submit(attempt, file))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _quiet_pillow() -> Iterator[None]:
    # Its warnings name no file, and an image is either good enough to be read or skipped by name.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _visible_folders(directory: Path) -> list[Path]:
    return sorted(entry for entry in directory.iterdir() if entry.is_dir() and entry.name[0] != ".")


def _classes_of(directory: Path) -> dict[str, list[Path]]:
    return {folder.name: images_below(folder) for folder in _visible_folders(directory)}


def images_below(folder: Path) -> list[Path]:
    """Return the image files of a directory and all below it, hidden ones left out, in order."""
    return [file for file in _files_below(folder) if file.suffix.lower() in SUFFIXES]


def _others(directory: Path) -> str:
    """Say how many images there are of each kind that is not read here; nothing for none."""
    endings = (file.suffix.lower() for file in _files_below(directory))
    counts = Counter(ending for ending in endings if ending in FOREIGN)
    return ", ".join(f"{count} {ending}" for ending, count in counts.most_common())


def _files_below(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if not any(part.startswith(".") for part in file.relative_to(folder).parts) and file.is_file()
    )


def _stamps(directory: Path, listing: Listing) -> list[tuple]:
    """Return what tells whether files have changed."""
    return [
        (part, name, str(file.relative_to(directory)), (stat := file.stat()).st_size, stat.st_mtime_ns)
        for part, classes in listing.items()
        for name, images in classes.items()
        for file in images
    ]


def _place(directory: Path, files: list[tuple], rendition: list) -> Path:
    """Return the cache folder of one rendition of these files."""
    known = json.dumps([VERSION, duplicates.VERSION, directory.name, rendition, sorted(files)])
    return cache_dir() / "data" / f"folder-{hashlib.sha256(known.encode()).hexdigest()[:24]}"
