"""Weight files of PyTorch, old and new, and of TorchScript → arrays by name, without PyTorch.

A pickle describes tensors as views of storages; the storages' bytes lie outside of it. Errors are
`ValueError`s, `UnpicklingError`s and whatever else a damaged file brings about: `readers` catches them all.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple

import numpy as np

from fewshot.io.unpickle import ArrayUnpickler

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)


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


class _Unpickler(ArrayUnpickler):
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


class _ScriptUnpickler(_Unpickler):
    names: ClassVar = {**_Unpickler.names, "torch.jit._pickle.build_intlist": list}

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


def legacy(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays in a file of the old form: five pickles, then the raw storages."""
    stream = io.BytesIO(content)
    _, version, system, state, keys = (_Unpickler(stream, encoding="utf-8").load() for _ in range(5))
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


def zipped(archive: zipfile.ZipFile, root: str) -> dict[str, np.ndarray]:
    """Return the arrays in a zip archive, a state dict's or a TorchScript's, from its folder `root`."""
    names = archive.namelist()
    if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
        raise ValueError("it is of an unknown byte order")
    script = f"{root}constants.pkl" in names
    unpickler = _ScriptUnpickler if script else _Unpickler
    state = unpickler(io.BytesIO(archive.read(f"{root}data.pkl")), encoding="utf-8").load()
    state = dict(_held(state)) if script else state
    keys = {tensor.storage.key for tensor in _tensors(state).values()}
    return _resolve(state, {key: archive.read(f"{root}data/{key}") for key in keys})


def _tensors(state: object) -> dict[str, _Tensor]:
    if not isinstance(state, Mapping):
        raise ValueError(f"it holds a {type(state).__name__} instead of a state dict")
    return {str(name): tensor for name, tensor in state.items() if isinstance(tensor, _Tensor)}


def _resolve(state: Mapping, raw: Mapping[str, bytes]) -> dict[str, np.ndarray]:
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
