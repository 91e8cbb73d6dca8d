"""Trained weights, kept in the cache by all that determines them: generators, and networks to start from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fewshot.errors import FewshotError
from fewshot.io.cache import build_once, cache_dir, set_aside
from fewshot.io.digests import key_of
from fewshot.training import checkpoints

FILE = "weights.npz"


def cached(
    kind: str, identity: dict, train: Callable[[], tuple[dict, list[np.ndarray]]]
) -> tuple[dict, list[np.ndarray]]:
    """Return a note and weights from the cache; `train()` gives them where they are not there yet.

    kind: the folder of the cache. identity: all that determines the weights, as JSON. What is kept and
    damaged is set aside, and trained anew.
    """

    def build(folder):
        note, weights = train()
        checkpoints.save(folder / FILE, note, checkpoints.numbered(weights))

    folder = cache_dir() / kind / key_of(identity)
    build_once(folder, build)
    try:
        note, arrays = checkpoints.load(folder / FILE)
    except FewshotError:
        try:
            set_aside(folder, f"the weights in {folder} are damaged")
        except OSError as error:
            raise FewshotError(
                f"the weights in {folder} are damaged: delete the folder, run again"
            ) from error
        build_once(folder, build)
        note, arrays = checkpoints.load(folder / FILE)
    return note, checkpoints.in_order(arrays)
