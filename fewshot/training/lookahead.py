"""Lookahead: slow weights that follow the fast ones, and lead them back (arXiv 1907.08610).

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from fewshot.training.player import assign, values


class Lookahead:
    """Slow copies of a network's variables, statistics of BatchNorm included (arXiv 2404.00498).

    share: that of the slow ones at this update, which the loop sets; below 0 they do not move.
    """

    def __init__(self, variables: Sequence):
        self._fast = [v for v in variables if "float" in keras.backend.standardize_dtype(v.dtype)]
        self._slow = [keras.Variable(ops.copy(v.value), trainable=False) for v in self._fast]
        self.share = keras.Variable(-1.0, trainable=False)

    @property
    def variables(self) -> list:
        """All that a training changes."""
        return [*self._slow, self.share]

    def start(self) -> None:
        """Begin where the network is."""
        assign(self._slow, values(self._fast))

    def step(self) -> None:
        """Move the slow variables, and set the fast ones to them, where it is time (runs in the graph)."""
        share = ops.convert_to_tensor(self.share)
        due = share >= 0
        for fast, slow in zip(self._fast, self._slow, strict=True):
            ahead, behind = ops.convert_to_tensor(fast), ops.convert_to_tensor(slow)
            moved = ops.where(due, share * behind + (1 - share) * ahead, behind)
            fast.assign(ops.where(due, moved, ahead))
            slow.assign(moved)

    def finish(self) -> None:
        """Set the fast variables to the slow ones: these are what a training comes to."""
        assign(self._fast, values(self._slow))
