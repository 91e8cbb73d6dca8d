"""The compiled forward pass of a saved model, kept in the cache: reading and tracing a model takes seconds.

What is kept is TensorFlow's graph, and the weights beside it (inside, TensorFlow would copy them several
times), under the digest of the model file, which was read in safe mode when the graph was made. Other
backends read the model each time.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fewshot import backend
from fewshot.errors import FewshotError
from fewshot.io.cache import build_once, cache_dir

if TYPE_CHECKING:
    import keras

VERSION = 5
EMBEDDING = "embedding"  # the layer that tells unlike photos
KEPT = 5  # graphs, those used last
GRAPH, WEIGHTS, NAMES = "graph.pb", "weights.npz", "names.json"
LARGE = 1024  # bytes of a constant that counts as a weight

Shape: TypeAlias = tuple[int | None, ...]
Forward: TypeAlias = Callable[[np.ndarray], list[np.ndarray]]
Compiled: TypeAlias = tuple[Forward, Shape, Shape]


def compiled(digest: str, read: Callable[[], keras.Model]) -> Compiled:
    """Return the forward pass of a model, and the shapes of its input and output.

    The forward pass returns the output and what the model sees in an image: what its layer "embedding"
    returns or, without one, the widest vector inside it, if there is any.

    digest: of the model's file. read: returns the model, where its graph is not kept yet.
    """
    if backend.name() != "tensorflow":
        model = read()
        passes = [backend.compile_forward(part) for part in _ends(model)]
        return (lambda x: [each(x) for each in passes]), model.input_shape, model.output_shape
    import tensorflow as tf

    folder = cache_dir() / "graphs" / f"{digest[:24]}-{tf.__version__}-{VERSION}"
    try:
        build_once(folder, lambda temporary: _write(read(), temporary))
        os.utime(folder)
        _forget(folder.parent)
        return _loaded(folder)
    except (FewshotError, OSError):  # a cache that cannot be written costs time, no more
        with tempfile.TemporaryDirectory() as elsewhere:
            _write(read(), Path(elsewhere))
            return _loaded(Path(elsewhere))


def _ends(model: keras.Model) -> list[keras.Model]:
    """Return the model, and the part of it that ends with what it sees in an image."""
    import keras

    embedding = [layer.output for layer in model.layers if layer.name == EMBEDDING]
    if not embedding:
        # A layer that stands in two models has an `output` of either: the nodes are those of this one.
        nodes = [node for nodes in model._nodes_by_depth.values() for node in nodes]
        outputs = [output for node in nodes for output in node.outputs if output is not model.output]
        vectors = [output for output in outputs if len(output.shape) == 2 and output.shape[1]]
        embedding = sorted(vectors, key=lambda vector: -vector.shape[1])[:1]
    return [model, *(keras.Model(model.input, output) for output in embedding)]


def _write(model: keras.Model, folder: Path) -> None:
    """Write the model's forward pass as a graph, and the constants that it names."""
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    inputs = [tf.TensorSpec(model.input_shape, tf.float32, name="pixels")]
    whole = keras.Model(model.input, [part.output for part in _ends(model)])
    traced = tf.function(lambda x: tf.nest.flatten(whole(x, training=False)), inputs, autograph=False)
    function = convert_variables_to_constants_v2(traced.get_concrete_function())
    graph = function.graph.as_graph_def()
    weights = {}
    for node in graph.node:
        if node.op == "Const" and node.attr["value"].ByteSize() > LARGE:
            weights[node.name] = tf.make_ndarray(node.attr["value"].tensor)
            kind = node.attr["dtype"].type
            node.Clear()
            node.name, node.op = list(weights)[-1], "Placeholder"
            node.attr["dtype"].type = kind
    (folder / GRAPH).write_bytes(graph.SerializeToString())
    known = {
        "input": function.inputs[0].name,
        "outputs": [tensor.name for tensor in function.outputs],
        "shapes": [model.input_shape, model.output_shape],
        "weights": list(weights),
    }
    (folder / NAMES).write_text(json.dumps(known))
    np.savez(folder / WEIGHTS, *weights.values())


def _loaded(folder: Path) -> Compiled:
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString((folder / GRAPH).read_bytes())
    known = json.loads((folder / NAMES).read_text())
    taken, given = map(tuple, known["shapes"])
    with np.load(folder / WEIGHTS, allow_pickle=False) as kept:
        weights = {f"{name}:0": tf.constant(kept[f"arr_{i}"]) for i, name in enumerate(known["weights"])}

    @functools.partial(tf.function, input_signature=[tf.TensorSpec(taken, tf.float32)], autograph=False)
    def forward(x: tf.Tensor) -> list[tf.Tensor]:
        inputs = {known["input"]: x, **{name: tf.identity(value) for name, value in weights.items()}}
        return tf.graph_util.import_graph_def(graph, inputs, known["outputs"], name="")

    return (lambda x: [tensor.numpy() for tensor in forward(tf.constant(x))]), taken, given


def _forget(folder: Path) -> None:
    """Delete all but the graphs used last."""
    kept = [path for path in folder.iterdir() if not path.name.startswith(".")]
    with contextlib.suppress(FileNotFoundError):  # another process deletes, too
        for path in sorted(kept, key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(path, ignore_errors=True)
