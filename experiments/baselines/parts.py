"""The record of a part of a job of `experiments.baselines`: a block of a search, a network, a fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fewshot.stats import metrics
from fewshot.trials.record import (
    Status,
    check_curve,
    check_mapping,
    check_number,
    check_text,
    check_whole,
    invalid,
    known_fields,
)

IDENTITY = ("job", "version", "data", "content", "limits", "seed", "threads", "device")


@dataclass(frozen=True)
class PartRecord:
    """What a part came to; its answers are kept beside it.

    identity: all that determines it beside its number. epochs, parameters, curve and the measures on test
    images (`accuracy`, …) are those of a network, fold the measures on the fold that was held out. ValueError
    for what is not valid.
    """

    key: str
    method: str
    part: int
    status: Status
    seconds: float
    identity: Mapping[str, Any]
    reason: str | None = None
    parameters: int | None = None
    epochs: float | None = None
    curve: Mapping[str, Any] | None = None
    fold: Mapping[str, float] | None = None
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    nll: float | None = None

    def __post_init__(self):
        for name in ("key", "method"):
            check_text(name, getattr(self, name))
        check_whole("part", self.part)
        if self.status not in ("ok", "failed"):
            raise invalid("status", "'ok' or 'failed'", self.status)
        if self.status == "failed":
            check_text("reason", self.reason)
        check_number("seconds", self.seconds)
        check_whole("parameters", self.parameters, optional=True)
        for name in ("epochs", *metrics.NAMES):
            check_number(name, getattr(self, name), optional=True)
        check_curve("curve", self.curve)
        if self.fold is not None:
            check_mapping("fold", self.fold)
            check_number("fold.accuracy", self.fold.get("accuracy"))

    @property
    def ok(self) -> bool:
        """Whether the part succeeded."""
        return self.status == "ok"

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> PartRecord:
        """Return the record that a JSON object holds; ValueError where it is not valid."""
        identity = {name: content.get(name) for name in IDENTITY}
        return cls(**known_fields(cls, {**content, "identity": identity}))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        values = asdict(self)
        identity = values.pop("identity")
        return {name: value for name, value in values.items() if value is not None} | dict(identity)
