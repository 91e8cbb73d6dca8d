"""All pairs of images, tile by tile: distances that no library has fast, in memory that does not grow.

A kernel is a hashable callable in `keras.ops`: rows (M, D) and (N, D), float32 → distances (M, N). It is
compiled once for each size of tile (TensorFlow through XLA, or JAX; the CPU or a GPU), and what comes out is
reduced to the k nearest before the next tile is made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fewshot import backend

TILE = {"cpu": (256, 512), "gpu": (1024, 4096)}  # rows × columns: within a core's cache, or enough for a GPU
UNROLLED = 16  # pixels that `L1` takes at once: one pass through the tile for all of them

Kernel = Callable[[object, object], object]
Progress = Callable[[int], object]  # is told how many pairs are done since the last call: `tqdm.update`


@dataclass(frozen=True)
class L1:
    """The sum of absolute differences.

    scikit-learn's takes 4.0 µs a pair of 3072 pixels on one core, this 0.16 to 0.4: it goes through the
    pixels outside and the pairs inside, where the processor's vectors are.
    """

    def __call__(self, x, y):
        """Return the distances, (M, N), of rows (M, D) and (N, D)."""
        from keras import ops

        width = -x.shape[1] % UNROLLED
        x, y = (ops.transpose(ops.pad(rows, ((0, 0), (0, width)))) for rows in (x, y))
        x, y = (ops.reshape(columns, (-1, UNROLLED, columns.shape[1])) for columns in (x, y))

        def step(i, total):
            parts = (ops.abs(x[i, j][:, None] - y[i, j][None]) for j in range(UNROLLED))
            return total + sum(parts)

        return ops.fori_loop(0, x.shape[0], step, ops.zeros((x.shape[2], y.shape[2])))


def table(kernel: Kernel, x: np.ndarray, y: np.ndarray, tile: tuple[int, int] | None = None) -> np.ndarray:
    """Return all distances, float32 (M, N): for few columns, such as one a class."""
    distances = np.empty((len(x), len(y)), np.float32)
    for start, rows, count in _blocks(x, (tile or _tile())[0]):
        for first, part in _row_of_tiles(kernel, rows, count, y, tile):
            distances[start : start + count, first : first + part.shape[1]] = part
    return distances


def nearest(
    kernel: Kernel,
    x: np.ndarray,
    y: np.ndarray,
    k: int,
    progress: Progress = lambda pairs: None,
    tile: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances, float32, and positions in `y`, both (M, k), of the k nearest to each row of `x`.

    Nearest first; equal distances in the order of `y`. tile: rows × columns, the device's by default. Several
    threads (`fewshot.backend.start`) work on blocks of rows side by side. What is held beside `x` and `y` is
    one tile a thread, whatever their lengths.
    """

    def search(block):
        _, rows, count = block
        best = np.full((count, k), np.inf, np.float32)
        where = np.zeros((count, k), np.int64)
        for first, part in _row_of_tiles(kernel, rows, count, y, tile):
            better = np.flatnonzero((part < best[:, -1:]).any(1))  # soon hardly any
            both = np.hstack([best[better], part[better]])  # in the order of `y`: found before, and now
            at = np.hstack(
                [where[better], np.broadcast_to(first + np.arange(part.shape[1]), part[better].shape)]
            )
            best[better], columns = smallest(both, k)
            where[better] = np.take_along_axis(at, columns, 1)
            progress(part.size)
        return best, where

    threads, _ = _started()
    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(search, _blocks(x, (tile or _tile())[0])))
    return tuple(np.concatenate(parts) for parts in zip(*answers, strict=True))


def smallest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k smallest of each row, and their columns: in ascending order, equals by column."""
    last = np.partition(values, k - 1, axis=1)[:, k - 1 : k]
    rows, columns = np.nonzero(values <= last)
    order = np.lexsort((columns, values[rows, columns], rows))  # `rows` counts first
    begin = np.searchsorted(rows, np.arange(len(values)))
    nearest_columns = columns[order[begin[:, None] + np.arange(k)]]
    return np.take_along_axis(values, nearest_columns, 1), nearest_columns


def _row_of_tiles(
    kernel: Kernel, rows: np.ndarray, count: int, y: np.ndarray, tile: tuple[int, int] | None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield, for each block of `y`, where it begins and its distances to the `count` rows."""
    for first, columns, width in _blocks(y, (tile or _tile())[1]):
        yield first, _compiled(kernel, rows.shape, columns.shape)(rows, columns)[:count, :width]


def _blocks(x: np.ndarray, limit: int) -> Iterator[tuple[int, np.ndarray, int]]:
    """Yield (start, rows, how many count): blocks of one size, so that one compiled function does for all.

    The last is filled up with zeros.
    """
    size = -(-len(x) // -(-len(x) // limit))
    for start in range(0, len(x), size):
        rows = np.asarray(x[start : start + size], np.float32)
        yield start, np.pad(rows, ((0, size - len(rows)), (0, 0))), len(rows)


def _started() -> tuple[int, str]:
    return backend.started() or (1, "cpu")


def _tile() -> tuple[int, int]:
    return TILE["cpu" if _started()[1] == "cpu" else "gpu"]


@functools.lru_cache(maxsize=32)
def _compiled(kernel: Kernel, *shapes: tuple[int, int]) -> Callable[..., np.ndarray]:
    """Return the kernel for rows of these shapes, compiled; products are exact to float32 on a GPU, too."""
    if backend.name() == "tensorflow":
        import tensorflow as tf

        specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
        graph = tf.function(kernel, specs, jit_compile=True, autograph=False).get_concrete_function()
        precise = tf.config.experimental
        before = precise.tensor_float_32_execution_enabled()
        precise.enable_tensor_float_32_execution(False)
        graph(*(tf.zeros(shape) for shape in shapes))  # XLA compiles at the first call
        precise.enable_tensor_float_32_execution(before)
        return lambda *rows: graph(*map(tf.constant, rows)).numpy()
    if backend.name() == "jax":
        import jax

        with jax.default_matmul_precision("highest"):
            graph = jax.jit(kernel).lower(*(jax.ShapeDtypeStruct(s, "float32") for s in shapes)).compile()
        return lambda *rows: np.asarray(graph(*rows))
    from keras import ops

    return lambda *rows: ops.convert_to_numpy(kernel(*map(ops.convert_to_tensor, rows)))
