"""Randomness: one integer seed a trial, and a named stream for every use of it.

Switching one use on (augmentation, say) does not move the others (initial weights, shuffling).
"""

from __future__ import annotations

import random
import zlib

import numpy as np


def _sequence(seed: int, stream: str) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, zlib.crc32(stream.encode())])


def rng(seed: int, stream: str) -> np.random.Generator:
    """Return the NumPy generator of one stream ("shuffle", "augment", …) of a trial's seed."""
    return np.random.default_rng(_sequence(seed, stream))


def stream_seed(seed: int, stream: str) -> int:
    """Return a 32-bit seed of one stream, for libraries that take an integer."""
    return int(_sequence(seed, stream).generate_state(1)[0])


def seed_globally(seed: int) -> None:
    """Seed Python's and NumPy's global generators.

    Keras's initialisers and seed generators take their seeds from Python's, `TorchUniform` draws from
    NumPy's. `keras.utils.set_random_seed` would import TensorFlow under every backend.
    """
    random.seed(seed)
    np.random.seed(seed)
