"""Weight files of every kind → arrays by name, without the framework that wrote them and without its trust.

The kind is seen from the content. Pickles may ask for a short list of names and nothing else; no model's
configuration is ever built; sizes are checked before memory is taken.

    .pth, .pt     PyTorch, the legacy form (five pickles, then the raw storages) and the zip; of a TorchScript
                  the values its modules hold, "block.conv.weight", while its code is never looked at
    .h5, .keras   Keras 1 to 3
    model.json    TensorFlow.js layers: the manifest, and its shards beside it or right behind it
    .ckpt         pickled dicts of NumPy arrays
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from fewshot.backbones import torch_files
from fewshot.errors import FewshotError
from fewshot.io.fetch import LARGEST_DOWNLOAD
from fewshot.io.unpickle import ArrayUnpickler
from fewshot.wording import one_line

Arrays = dict[str, np.ndarray]


def read(path: Path) -> Arrays:
    """Return the arrays in a weight file; `FewshotError` where it is none, or cut short, or malicious."""
    try:
        if path.stat().st_size > LARGEST_DOWNLOAD:
            raise ValueError(f"it is larger than {LARGEST_DOWNLOAD} bytes")
        content = path.read_bytes()
        arrays = _reader(content)(content, path)
    except Exception as error:  # what a damaged file raises depends on the byte
        raise FewshotError(f"cannot read the weights {path}: {_reason(error)}") from error
    if not arrays:
        raise FewshotError(f"cannot read the weights {path}: it holds no arrays")
    return arrays


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(error)


def _reader(content: bytes) -> Callable[[bytes, Path], Arrays]:
    if content.startswith(b"\x89HDF\r\n\x1a\n"):
        return _hdf5
    if content.startswith(b"PK\x03\x04"):
        return _zip
    if content.startswith(torch_files.MAGIC):
        return lambda content, path: torch_files.legacy(content)
    if content.startswith(b"{"):
        return _tfjs
    if content.startswith(b"\x80"):
        return _array_pickle
    raise ValueError("it is no weight file (.pth, .h5, .keras, .ckpt or a TensorFlow.js model.json)")


def _array_pickle(content: bytes, path: Path) -> Arrays:
    return _flat(ArrayUnpickler(io.BytesIO(content)).load())


def _flat(tree: object, prefix: str = "") -> Arrays:
    """Return the arrays in nested dicts, their keys joined by slashes."""
    if not isinstance(tree, Mapping):
        raise ValueError(f"it holds a {type(tree).__name__} instead of a dict of arrays")
    arrays = {}
    for key, value in tree.items():
        if isinstance(value, np.ndarray):
            arrays[f"{prefix}{key}"] = _numbers(value)
        elif isinstance(value, Mapping):
            arrays |= _flat(value, f"{prefix}{key}/")
    return arrays


def _numbers(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"it holds an array of {array.dtype}")
    return array


def _zip(content: bytes, path: Path) -> Arrays:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > LARGEST_DOWNLOAD:
            raise ValueError(f"unpacked it is larger than {LARGEST_DOWNLOAD} bytes")
        names = archive.namelist()
        if "model.weights.h5" in names:
            return _hdf5(archive.read("model.weights.h5"), path)
        root = next((name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl")), None)
        if root is None:
            raise ValueError("it is a zip archive without weights")
        return torch_files.zipped(archive, root)


# Keras


def _hdf5(content: bytes, path: Path) -> Arrays:
    import h5py

    arrays, total = {}, 0
    with h5py.File(io.BytesIO(content)) as file:
        whole_model = isinstance(file.get("model_weights", getlink=True), h5py.HardLink)
        root = file["model_weights"] if whole_model else file
        # Keras 1 and 2: a group a layer, in it the weights by their own full names, "conv1/kernel:0".
        groups = [str(name) for name in np.asarray(root.attrs.get("layer_names", []), str)]

        def take(name, item):
            nonlocal total
            if not isinstance(item, h5py.Dataset):
                return
            # Either could point to another file of this machine.
            if item.is_virtual or item.external:
                raise ValueError(f"{name} lies in another file")
            total += item.nbytes
            if total > LARGEST_DOWNLOAD:
                raise ValueError(f"its arrays take more than {LARGEST_DOWNLOAD} bytes")
            group = next((group for group in groups if name.startswith(f"{group}/")), None)
            name_inside = name.removeprefix(f"{group}/") if group else name
            arrays[name_inside.removesuffix(":0")] = _numbers(item[()])

        root.visititems(take)  # follows no links
    return {name: array for name, array in arrays.items() if array.size}


# TensorFlow.js


def _tfjs(content: bytes, path: Path) -> Arrays:
    text = content.decode("latin1")  # a byte a character, so that the end of the JSON is a position in both
    manifest, end = json.JSONDecoder().raw_decode(text)
    groups = manifest["weightsManifest"]
    shards = content[end:] or _shards(path, [name for group in groups for name in group["paths"]])
    arrays, position = {}, 0
    for weight in (weight for group in groups for weight in group["weights"]):
        shape = weight["shape"]
        if weight["dtype"] != "float32" or "quantization" in weight:
            raise ValueError(f"{weight['name']} is not plain float32")
        if any(type(n) is not int or n < 0 for n in shape):
            raise ValueError(f"{weight['name']} has the shape {shape!r:.60}")
        size = math.prod(shape)
        if position + 4 * size > len(shards):
            raise ValueError(f"it is cut short: {weight['name']} is not whole")
        arrays[weight["name"]] = np.frombuffer(shards, "<f4", size, position).reshape(shape)
        position += 4 * size
    if position != len(shards):
        raise ValueError(f"its shards hold {len(shards) - position} bytes too many")
    return arrays


def _shards(path: Path, names: list[str]) -> bytes:
    """Return the files beside `path`, joined."""
    for name in names:
        if name != Path(name).name or (path.parent / name).is_symlink():
            raise ValueError(f"its shard {name!r} does not lie beside it")
    files = [path.parent / name for name in names]
    if sum(file.stat().st_size for file in files) > LARGEST_DOWNLOAD:
        raise ValueError(f"its shards take more than {LARGEST_DOWNLOAD} bytes")
    return b"".join(file.read_bytes() for file in files)
