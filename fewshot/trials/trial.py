"""A trial: one method on one task, and the key of its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fewshot.data import Prepared, open_splits
from fewshot.data.protocols import Protocol
from fewshot.identity import taken_digests
from fewshot.io.digests import key_of
from fewshot.learners.contract import Learner


@dataclass(frozen=True)
class Trial:
    """One method on one task.

    curves: measure the held-out images along the way, too. checkpoint: a file to keep a long training in.
    share: of the task's images, what a worker prepares (`Protocol.sample_task`).
    digests: those of a user's code in the driver's process, for a worker; None before they are taken.
    """

    method: str
    learner: Learner
    protocol: Protocol
    data: Prepared
    seed: int
    threads: int = 1
    device: str = "cpu"
    curves: bool = False
    checkpoint: Path | None = None
    share: tuple[int, int] = (0, 1)
    digests: tuple[tuple[Any, str], ...] | None = field(default=None, compare=False, repr=False)

    def identity(self) -> dict:
        """Return everything that determines the result."""
        heeded = self.protocol.heeds_prior(lambda: open_splits(self.data.folder))
        return {
            "protocol": {
                **self.protocol.describe(),
                **({"prior": self.protocol.prior} if heeded else {}),
                "data": self.data.name,
                "content": self.data.fingerprint,
            },
            "learner": self.learner.identity(),
            "seed": self.seed,
            "threads": self.threads,
            "device": self.device,
        }

    @property
    def key(self) -> str:
        """The name of the result in the store."""
        return key_of(self.identity())

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker process gets: with it the digests of a user's code, as they are here.

        A scheduler on the way, which may not even know the plugin of a method, hands on those that it got.
        """
        if self.digests is not None:
            return dict(vars(self))
        with taken_digests() as digests:
            self.identity()
        return {**vars(self), "digests": tuple(digests)}
