"""The user's own images: a directory with one sub-folder per class, or `train/`, `val/`, `test/` of such.

Images come as cameras, scanners and phones write them; they leave as RGB squares of one size. A file that
cannot be read is named and skipped. Decoded once: the cache remembers the files by path, size and time.
"""

import contextlib
import hashlib
import json
import os
import sys
import tempfile
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewshot.data.dataset import Dataset, Splits
from fewshot.data.sources import PARTS, save
from fewshot.errors import UsageError, field
from fewshot.io.cache import build_once, cache_dir

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
FOREIGN = {".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd", ".dng", ".raw", ".cr2", ".nef", ".arw"}
PART_NAMES = {"val", "valid", "validation", "test"}  # beside train/, these are meant as parts, not classes
SAMPLE = 100  # images that tell how large all are
AHEAD = 64  # images decoded and not yet taken
VERSION = 1  # of the decoding; part of the cache key

# part → class → image files, in a fixed order
Listing = dict[str, dict[str, list[Path]]]


def prepare_folder(directory: Path, image_size: int) -> Path:
    """Return the cache folder of the images below `directory`, decoded now if they are new or have changed.

    Raises `UsageError` if `directory` holds no two classes with readable images.
    """
    if image_size < 1:
        raise UsageError(f"{field('image_size')} must be 1 or more. Received: {image_size}")
    directory = directory.resolve()
    try:
        listing = list_images(directory)
        key = _key(directory, listing, image_size)
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error

    def build(temporary: Path) -> None:
        with tempfile.TemporaryDirectory(dir=temporary) as scratch:
            splits, skipped = decode(directory, listing, image_size, Path(scratch))
            notes = [f"skipped {file}" for file in skipped]
            if others := _others(directory):
                notes.append(f"not read: {others} (JPEG, PNG, BMP, GIF, WebP and TIFF are)")
                print(notes[-1], file=sys.stderr)
            save(splits, temporary, str(directory), notes)

    return build_once(cache_dir() / "data" / f"folder-{key}", build)


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


def decode(directory: Path, listing: Listing, image_size: int, scratch: Path) -> tuple[Splits, list[str]]:
    """Return the images as splits, and the files (relative, with the reason) that could not be read.

    The images lie in files in `scratch`: a folder may have more of them than fit into the memory.
    """
    from tqdm import tqdm

    classes = tuple(listing["train"])
    total = sum(len(files) for part in listing.values() for files in part.values())
    parts, skipped = {}, []
    with tqdm(total=total, desc="decoding", unit="image", disable=None) as bar:
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
    return Splits(directory.name, **parts), skipped


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
    from PIL import Image, ImageOps

    with Image.open(path, formats=FORMATS) as file:
        # A JPEG decodes to half, a quarter or an eighth in a fraction of the time; twice the size that is
        # needed leaves the rest to the better filter.
        file.draft(None, (2 * size, 2 * size))
        image = _to_rgb(ImageOps.exif_transpose(file))
    return square(image, size)


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


def decoded(files: Iterable[Path], size: int) -> Iterator[np.ndarray | Exception]:
    """Yield each file's image as `load_image` returns it, or the error, in the order of the files.

    Threads decode ahead of who takes the images, but no more than `AHEAD`: that bounds the memory.
    """

    def attempt(file: Path) -> np.ndarray | Exception:
        try:
            return load_image(file, size)
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


def _key(directory: Path, listing: Listing, image_size: int) -> str:
    files = [
        (part, name, str(file.relative_to(directory)), (stat := file.stat()).st_size, stat.st_mtime_ns)
        for part, classes in listing.items()
        for name, images in classes.items()
        for file in images
    ]
    known = json.dumps([VERSION, directory.name, image_size, sorted(files)])
    return hashlib.sha256(known.encode()).hexdigest()[:24]
