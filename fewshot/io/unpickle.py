"""The arrays in a pickle from outside, which may name NumPy arrays and nothing else."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar, cast

import numpy as np


def _latin1(text: str, encoding: str) -> bytes:
    return text.encode("latin1")


def _text(value: str | bytes) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value


class _Numbers:
    """Stands for a dtype: numbers only, and of a dtype's state the byte order only.

    NumPy's own would let a pickle make arrays of objects, or change a dtype that all arrays share.
    """

    def __init__(self, name: str | bytes, *ignored: object):
        self.dtype = np.dtype(_text(name))
        if self.dtype.kind not in "biuf":
            raise pickle.UnpicklingError(f"it holds {self.dtype}, not numbers")

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(cast(Any, _text(state[1])))


class _Array(np.ndarray):
    """An array that takes its content from bytes alone.

    NumPy's own would read as many objects from a list as the pickle says that there are.
    """

    def __setstate__(self, state: tuple) -> None:
        _, shape, numbers, fortran, content = state
        if not isinstance(numbers, _Numbers) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("it holds an array without numbers")
        super().__setstate__(cast(Any, (1, shape, numbers.dtype, bool(fortran), content)))


def _reconstruct(*ignored: object) -> np.ndarray:
    # NumPy's own takes a shape, and would allocate what a pickle asks for. The state that follows fills it.
    return np.empty(0, np.int8).view(_Array)


_ARRAY_NAMES = {
    "numpy.ndarray": "numpy.ndarray",  # only ever an argument of the next
    # NumPy 1 and NumPy 2 write different module names for the same function.
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy.dtype": _Numbers,
    # So Python 3 writes the bytes of an array for readers of Python 2.
    "_codecs.encode": _latin1,
}


class ArrayUnpickler(pickle.Unpickler):
    """Builds arrays and plain Python values; any other name in the pickle is refused."""

    names: ClassVar = _ARRAY_NAMES

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for `module.name`, if it is on the list."""
        if (substitute := self.names.get(f"{module}.{name}")) is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which plain arrays do not need")
        return substitute
