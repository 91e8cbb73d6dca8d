"""Learning curves: what a training loop keeps of its updates, and the error when the loss is no number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.errors import DivergedError

POINTS = 20  # learning curves have about so many points, or one an epoch where there are half as many


@dataclass(frozen=True)
class Curve:
    """A learning curve: losses, and accuracies in percent, after so many updates."""

    update: list[int]
    loss: list[float]
    accuracy: list[float]
    held_out_loss: list[float]
    held_out_accuracy: list[float]


class Trace:
    """What a training of so many updates, `epoch` of them an epoch, has come to so far.

    points: the updates at which the curve has a point, and at which held-out images are to be measured.
    """

    def __init__(self, updates: int, epoch: int):
        self.updates, self._epoch = updates, epoch
        at_ends = updates % epoch == 0 and updates // epoch >= POINTS // 2
        whole = epoch if at_ends else 1
        places = np.linspace(0, updates // whole, POINTS + 1).round().astype(int)
        self.points = (np.unique(places)[1:] * whole).tolist()
        self._seen: list[tuple[float, float, int]] = []  # loss, right answers, images of every update
        self._held_out: list[dict[str, float]] = []

    def __len__(self) -> int:
        """The updates so far."""
        return len(self._seen)

    def add(self, losses: Sequence[float], correct: Iterable[float], sizes: Iterable[int]) -> None:
        """Keep the next updates' losses, right answers and images.

        Raises `DivergedError` at the first loss that is no number.
        """
        if not np.isfinite(losses).all():
            first = len(self) + int(np.flatnonzero(~np.isfinite(losses))[0]) + 1
            raise DivergedError(f"the loss was no longer finite at update {first} of {self.updates}")
        self._seen.extend(zip(losses, correct, sizes, strict=True))

    def watch(self, measured: dict[str, float]) -> None:
        """Keep what `fewshot.stats.metrics` measured on held-out images at a point."""
        self._held_out.append(measured)

    def state(self) -> tuple[dict, np.ndarray]:
        """Return what `restore` takes: a note that JSON knows, and what the updates saw."""
        return {"held_out": self._held_out}, np.array(self._seen)

    def restore(self, note: dict, seen: np.ndarray, watched: bool) -> bool:
        """Resume from a state; return False, and stay, where it lacks the held-out points that are wanted.

        watched: they are wanted.
        """
        held_out = list(note["held_out"]) if watched else []
        if watched and len(held_out) != sum(point <= len(seen) for point in self.points):
            return False
        self._held_out, self._seen = held_out, [tuple(update) for update in seen.tolist()]
        return True

    def curve(self) -> Curve:
        """Return the curve. Training loss and accuracy are means over the last epoch before each point."""
        epochs = [np.array(self._seen[max(0, point - self._epoch) : point]).T for point in self.points]
        return Curve(
            update=self.points,
            loss=[float(np.average(losses, weights=sizes)) for losses, _, sizes in epochs],
            accuracy=[float(100 * correct.sum() / sizes.sum()) for _, correct, sizes in epochs],
            held_out_loss=[measured["nll"] for measured in self._held_out],
            held_out_accuracy=[measured["accuracy"] for measured in self._held_out],
        )
