"""Images that are in memory already: a notebook's arrays, prepared in the cache by their content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewshot.data.catalogue import Prepared
from fewshot.data.dataset import Dataset, Splits
from fewshot.data.sources import prepared_once, save
from fewshot.errors import UsageError
from fewshot.io.cache import cache_dir
from fewshot.io.digests import key_of

NAME = "arrays"  # in tables and records; the content is what identifies them


def prepare_arrays(x: object, y: object, classes: Sequence[str] | None = None) -> Prepared:
    """Return images and labels as a dataset in the cache; tasks are drawn from them as from a folder.

    Parameters
    ----------
    x : uint8 (N, height, width, 3), RGB.
    y : (N,), whole numbers or texts. With `classes`, positions in these; without, the values themselves,
        sorted, are the classes.

    Raises `UsageError` for arrays of another shape or type, or a class without an image.
    """
    images, values = np.asarray(x), np.asarray(y)
    _check(images, values)
    if classes is None:
        distinct, labels = np.unique(values, return_inverse=True)
        classes = distinct.tolist()
    elif values.dtype.kind not in "iu":
        raise UsageError("with a list of classes, labels are whole numbers: positions in it")
    else:
        labels = values.astype(np.int64)
    names = tuple(map(str, classes))
    if len(set(names)) < len(names):
        raise UsageError(f"a class is named twice: {', '.join(names)}")
    if len(names) < 2:
        raise UsageError(f"two classes are the least. Received: {', '.join(names) or 'none'}")
    if not 0 <= labels.min() <= labels.max() < len(names):
        raise UsageError(
            f"labels are positions in the {len(names)} classes, 0 to {len(names) - 1}. "
            f"Received: {labels.min()} to {labels.max()}"
        )
    counts = np.bincount(labels, minlength=len(names))
    if not counts.all():
        raise UsageError(f"the class '{names[counts.argmin()]}' has no image: add some, or leave it out")
    splits = Splits(NAME, Dataset(images, labels, names))
    fingerprint = splits.fingerprint()
    key = key_of({"content": fingerprint, "classes": names})
    folder = prepared_once(
        cache_dir() / "data" / f"{NAME}-{key}", lambda temporary: save(splits, temporary, "arrays in memory")
    )
    return Prepared(NAME, folder, names, fingerprint, "distinct", None)


def _check(images: np.ndarray, labels: np.ndarray) -> None:
    """Raise `UsageError` for what are no images with a label each."""
    if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
        raise UsageError(f"images are an array (N, height, width, 3). Received: {_shape(images)}")
    if images.dtype != np.uint8:
        raise UsageError(
            f"images are uint8, 0 to 255. Received: {images.dtype}; "
            "(255 * x).astype('uint8') makes them of floats from 0 to 1"
        )
    if labels.shape != images.shape[:1]:
        raise UsageError(f"{len(images)} images need as many labels, (N,). Received: {_shape(labels)}")
    if labels.dtype.kind not in "iuUS":
        raise UsageError(f"labels are whole numbers or texts. Received: {labels.dtype}")


def _shape(array: np.ndarray) -> str:
    return "(" + ", ".join(map(str, array.shape)) + ")"
