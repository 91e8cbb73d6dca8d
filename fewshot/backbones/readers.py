"""Weight files of every kind → arrays by name, without the framework that wrote them and without its trust.

The kind is seen from the content. Pickles may ask for a short list of names and nothing else; no model's
configuration is ever built; sizes are checked before memory is taken.

    .pth, .pt     PyTorch, the legacy form (five pickles, then the raw storages) and the zip; of a TorchScript
                  the values its modules hold, "block.conv.weight", while its code is never looked at
    .h5, .keras   Keras 1 to 3
    model.json    TensorFlow.js layers: the manifest, and its shards beside it or right behind it
    .ckpt         pickled dicts of NumPy arrays
"""

import io
import json
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from fewshot.errors import FewshotError
from fewshot.fetch import LARGEST_DOWNLOAD, ArrayUnpickler, one_line

Arrays = dict[str, np.ndarray]

TORCH_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)


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
    if content.startswith(TORCH_MAGIC):
        return _torch_legacy
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


# PyTorch. The pickle describes tensors as views of storages; the storages' bytes lie outside of it.


class _Storage(NamedTuple):
    kind: str
    key: str
    numel: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def _rebuild_tensor(storage, offset, size, stride, *ignored) -> _Tensor:
    return _Tensor(storage, offset, size, stride)


def _rebuild_parameter(tensor, *ignored) -> _Tensor:
    return tensor


STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",  # the upper halves of float32
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class _TorchUnpickler(ArrayUnpickler):
    names: ClassVar = {
        "collections.OrderedDict": OrderedDict,
        "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
        "torch._utils._rebuild_parameter": _rebuild_parameter,
        **{f"torch.{kind}": kind for kind in STORAGES},
    }

    def persistent_load(self, saved):
        """Return the storage that the pickle refers to."""
        what, kind, key, _, numel, *_ = saved
        if what != "storage" or kind not in STORAGES or not isinstance(key, str) or type(numel) is not int:
            raise pickle.UnpicklingError(f"it refers to {saved!r:.60}")
        return _Storage(kind, key, numel)


class _Module:
    """Stands for a module of a TorchScript, whatever its class: what it holds, and nothing that runs."""

    state: object = None

    def __setstate__(self, state: object):
        self.state = state


class _ScriptUnpickler(_TorchUnpickler):
    names: ClassVar = {**_TorchUnpickler.names, "torch.jit._pickle.build_intlist": list}

    def find_class(self, module: str, name: str):
        """Return what stands for `module.name`: one class for all those that the file itself defines."""
        return _Module if module.startswith("__torch__.") else super().find_class(module, name)


def _held(module: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield what modules within modules hold, their names joined by dots."""
    state = module.state if isinstance(module, _Module) else None
    if not isinstance(state, dict) or not state:
        raise ValueError("it holds no module where one should be, or one twice")
    items = list(state.items())
    state.clear()  # modules that hold each other would have no end
    for name, value in items:
        if isinstance(value, _Module):
            yield from _held(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _torch_legacy(content: bytes, path: Path) -> Arrays:
    stream = io.BytesIO(content)
    _, version, system, state, keys = (_TorchUnpickler(stream, encoding="utf-8").load() for _ in range(5))
    if version != 1001 or not system.get("little_endian", True):
        raise ValueError("it is of an unknown version or byte order")
    storages = {tensor.storage.key: tensor.storage for tensor in _tensors(state).values()}
    raw = {}
    for key in keys:
        storage = storages.get(key)
        if storage is None:
            raise ValueError(f"the storage {key} belongs to no tensor")
        if int.from_bytes(stream.read(8), "little", signed=True) != storage.numel:
            raise ValueError(f"the storage {key} has another size than its tensors say")
        raw[key] = stream.read(_bytes(storage, len(content) - stream.tell()))
    return _resolve(state, raw)


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
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
            raise ValueError("it is of an unknown byte order")
        script = f"{root}constants.pkl" in names
        unpickler = _ScriptUnpickler if script else _TorchUnpickler
        state = unpickler(io.BytesIO(archive.read(f"{root}data.pkl")), encoding="utf-8").load()
        state = dict(_held(state)) if script else state
        keys = {tensor.storage.key for tensor in _tensors(state).values()}
        return _resolve(state, {key: archive.read(f"{root}data/{key}") for key in keys})


def _tensors(state: object) -> dict[str, _Tensor]:
    if not isinstance(state, Mapping):
        raise ValueError(f"it holds a {type(state).__name__} instead of a state dict")
    return {str(name): tensor for name, tensor in state.items() if isinstance(tensor, _Tensor)}


def _resolve(state: Mapping, raw: Mapping[str, bytes]) -> Arrays:
    return {name: _view(tensor, raw[tensor.storage.key]) for name, tensor in _tensors(state).items()}


def _bytes(storage: _Storage, available: int) -> int:
    needed = storage.numel * np.dtype(STORAGES[storage.kind]).itemsize
    if not 0 <= needed <= available:
        raise ValueError(f"it is cut short: a storage needs {needed} bytes, {available} are there")
    return needed


def _view(tensor: _Tensor, raw: bytes) -> np.ndarray:
    storage, offset, size, stride = tensor
    _bytes(storage, len(raw))
    if len(size) != len(stride) or any(type(n) is not int or n < 0 for n in (offset, *size, *stride)):
        raise ValueError(f"a tensor has the shape {size!r:.60} and the strides {stride!r:.60}")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) > storage.numel or (math.prod(size) and last >= storage.numel):
        raise ValueError(f"a tensor of shape {size!r:.60} reaches beyond its storage")
    values = np.frombuffer(raw, STORAGES[storage.kind], storage.numel)
    if storage.kind == "BFloat16Storage":
        values = (values.astype("<u4") << 16).view("<f4")
    if not math.prod(size):
        return np.empty(size, values.dtype)
    steps = [step * values.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(values[offset:], size, steps, writeable=False)


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
            own = name.removeprefix(f"{group}/") if group else name
            arrays[own.removesuffix(":0")] = _numbers(item[()])

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
