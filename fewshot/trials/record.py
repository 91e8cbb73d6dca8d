"""The record of a trial: what was measured, and all that determines it.

A record is valid from the moment it exists: types, finite numbers and ranges are checked when it is made, so
that whoever reads one from a file need not look again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Literal

from fewshot.errors import is_finite

Status = Literal["ok", "failed"]

MOST = 2**63 - 1  # that arrays hold

# Field → least and largest value. A failed trial has measured nothing but its seconds.
MEASURED = {"accuracy": (0, 100), "balanced_accuracy": (0, 100), "nll": (0, math.inf)}
COUNTED = ("n_train", "updates", "images_seen")
UNKNOWN_BEFORE = ("n_test", "n_pool")  # None in records of older versions
TEXTS = ("key", "method", "device", "date", "fewshot")


@dataclass(frozen=True)
class Record:
    """One method on one task, as measured.

    Parameters
    ----------
    key : str
        The name of the trial in the store, made of everything that determines the result.
    method : str
        The name under which the trial was computed first.
    status : "ok" or "failed"
        A failed trial has a `reason`, and no other measurement than `seconds`.
    classes : tuple of str
        The names of the task's classes, in the protocol's order.
    accuracy, balanced_accuracy : float
        On the held-out images, in percent.
    nll : float
        Mean negative log-likelihood of the held-out images.
    n_train, updates, images_seen, parameters : int
        Training images after offline augmentation, optimizer steps, images seen by them, trained parameters.
        `parameters` is None where a learner does not count them.
    curve : mapping of str to list of float
        "update", "loss", "accuracy" and, where they were watched, "held_out_loss", "held_out_accuracy".
    seconds : float
        Training and prediction together.
    protocol, learner : mapping
        Their descriptions, data included.
    seed, threads, device
        The task, and what it was computed with.
    setup_seconds : float
        Of `seconds`, those of building the network, of compiling, and of loading images into the device's
        memory; None where they are not told apart, and in records of older versions.
    n_test, n_pool : int
        Held-out images, and those that they were drawn from; near-duplicates count once.
    date, machine, fewshot
        When, on which processor and Python, by which version; empty in records of older versions.

    Raises
    ------
    ValueError
        For a value of a wrong type or outside its range.
    """

    key: str
    method: str
    status: Status
    reason: str | None
    classes: tuple[str, ...]
    accuracy: float | None
    balanced_accuracy: float | None
    nll: float | None
    n_train: int | None
    updates: int | None
    images_seen: int | None
    parameters: int | None
    curve: Mapping[str, Sequence[float]] | None
    seconds: float
    protocol: Mapping[str, Any]
    learner: Mapping[str, Any]
    seed: int
    threads: int
    device: str
    date: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)
    fewshot: str = ""
    n_test: int | None = None
    n_pool: int | None = None
    setup_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.status not in ("ok", "failed"):
            raise invalid("status", "'ok' or 'failed'", self.status)
        for name in TEXTS:
            check_text(name, getattr(self, name))
        if not isinstance(self.classes, tuple) or not all(isinstance(name, str) for name in self.classes):
            raise invalid("classes", "a tuple of names", self.classes)
        if self.reason is not None:
            check_text("reason", self.reason)
        for name in ("protocol", "learner", "machine"):
            check_mapping(name, getattr(self, name))
            object.__setattr__(self, name, _as_json(getattr(self, name)))
        if not {"name", "data"} <= self.protocol.keys():
            raise invalid("protocol", "a mapping with 'name' and 'data'", self.protocol)
        check_number("seconds", self.seconds)
        check_number("setup_seconds", self.setup_seconds, optional=True)
        check_whole("seed", self.seed)
        check_whole("threads", self.threads, least=1)
        optional = self.status == "failed"
        for name, (least, most) in MEASURED.items():
            check_number(name, getattr(self, name), least, most, optional)
        for name in COUNTED:
            check_whole(name, getattr(self, name), optional=optional)
        for name in UNKNOWN_BEFORE:
            check_whole(name, getattr(self, name), optional=True)
        check_whole("parameters", self.parameters, optional=True)
        check_curve("curve", self.curve)

    @property
    def ok(self) -> bool:
        """Whether the trial succeeded."""
        return self.status == "ok"

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Record:
        """Return the record that a JSON object holds.

        Fields that this version does not know are left out.

        Raises
        ------
        ValueError
            Where a field is missing, of a wrong type, not finite or outside its range.
        """
        values = known_fields(cls, content)
        if isinstance(values["classes"], list):
            values["classes"] = tuple(values["classes"])
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes, ready for `json.dumps(…, allow_nan=False)`."""
        return {**asdict(self), "classes": list(self.classes)}


def _as_json(value: Any) -> Any:
    """Return a value with lists for tuples, as it comes back from a file: equal records stay equal."""
    if isinstance(value, Mapping):
        return {key: _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, list | tuple) else value


def known_fields(cls: type, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return those entries of a JSON object that are fields of a dataclass.

    Raises
    ------
    ValueError
        Where a field without a default is missing.
    """
    for item in fields(cls):
        if item.default is MISSING and item.default_factory is MISSING and item.name not in content:
            raise ValueError(f"a record needs the field '{item.name}'")
    return {item.name: content[item.name] for item in fields(cls) if item.name in content}


def check_text(name: str, value: object) -> None:
    """Raise ValueError unless the value is text."""
    if not isinstance(value, str):
        raise invalid(name, "text", value)


def check_mapping(name: str, value: object) -> None:
    """Raise ValueError unless the value is a mapping with text as its keys."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise invalid(name, "a mapping", value)


def check_number(
    name: str, value: object, least: float = 0, most: float = math.inf, optional: bool = False
) -> None:
    """Raise ValueError unless the value is a finite number from `least` to `most`, or None if `optional`."""
    if value is None and optional:
        return
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not is_finite(number) or not least <= number <= most:
        raise invalid(name, f"a finite number from {least} to {most}", value)


def check_whole(name: str, value: object, least: int = 0, optional: bool = False) -> None:
    """Raise ValueError unless the value is a whole number from `least` to `MOST`, or None if `optional`."""
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST:
        raise invalid(name, f"a whole number from {least} on, of 63 bits at most", value)


def check_curve(name: str, value: object) -> None:
    """Raise ValueError unless the value maps names to lists of finite numbers, or is None."""
    if value is None:
        return
    check_mapping(name, value)
    assert isinstance(value, Mapping)
    for part, points in value.items():
        if not isinstance(points, list | tuple):
            raise invalid(f"{name}.{part}", "a list of numbers", points)
        for point in points:
            check_number(f"{name}.{part}", point, -math.inf)


def invalid(name: str, expected: str, value: object) -> ValueError:
    """Return the error of a field with a wrong value."""
    text = repr(value)
    return ValueError(f"{name}: expected {expected}. Received: {text[:60]}{'…' * (len(text) > 60)}")
