"""Trained weights, kept in the cache by all that determines them: generators, and networks to start from."""

from collections.abc import Callable

import numpy as np

from fewshot.errors import FewshotError
from fewshot.io.cache import build_once, cache_dir
from fewshot.io.digests import key_of
from fewshot.training import checkpoints

FILE = "weights.npz"


def cached(
    kind: str, identity: dict, train: Callable[[], tuple[dict, list[np.ndarray]]]
) -> tuple[dict, list[np.ndarray]]:
    """Return a note and weights from the cache; `train()` gives them where they are not there yet.

    kind: the folder of the cache. identity: all that determines the weights, as JSON. Raises `FewshotError`
    where what is kept is damaged.
    """

    def build(folder):
        note, weights = train()
        checkpoints.save(folder / FILE, note, checkpoints.numbered(weights))

    folder = build_once(cache_dir() / kind / key_of(identity), build)
    try:
        note, arrays = checkpoints.load(folder / FILE)
    except FewshotError as error:
        raise FewshotError(f"the weights in {folder} are damaged: delete the folder, run again") from error
    return note, checkpoints.in_order(arrays)
