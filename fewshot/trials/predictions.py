"""The held-out predictions of a trial, as they are kept beside its record; this is their only reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fewshot.errors import FewshotError, field
from fewshot.trials.record import Record
from fewshot.trials.store import Store


@dataclass(frozen=True)
class Predictions:
    """What a trial predicted of its N held-out images.

    Parameters
    ----------
    probabilities : (N, classes) float16
        Over all classes of the dataset; those that the task does not have are 0, or next to it.
    labels : (N,) int
        The dataset's labels.
    index : (N,) int
        Where the images stand in the part.
    part : str
        The part of the dataset that they were held out from, "train" or "test".
    """

    probabilities: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    part: str

    @property
    def answers(self) -> np.ndarray:
        """The most probable class of each image, (N,)."""
        return self.probabilities.argmax(1)


def read_predictions(store: Store, trial: str | Record) -> Predictions | None:
    """Return the predictions of a trial, or None where they are missing, damaged or not valid.

    Parameters
    ----------
    store : Store
        The results folder; it need not be open.
    trial : str or Record
        The trial's key, or its record: then as many classes as it names must occur among the labels.
    """
    key = trial if isinstance(trial, str) else trial.key
    arrays = store.arrays(key)
    if arrays is None or not {"probabilities", "labels", "index", "part"} <= arrays.keys():
        return None
    ways = None if isinstance(trial, str) else len(trial.classes)
    if not _is_valid(arrays, ways):
        return None
    part = str(arrays["part"])
    return Predictions(arrays["probabilities"], arrays["labels"], arrays["index"], part)


def temperature(store: Store, records: Iterable[Record]) -> float:
    """Return the temperature that calibrates a method, fitted to its held-out predictions on all tasks.

    Raises `FewshotError` where there are none.
    """
    from fewshot.stats.calibration import fit_temperature

    read = [read_predictions(store, record) for record in records if record.ok]
    kept = [predictions for predictions in read if predictions is not None]
    if not kept:
        raise FewshotError(
            f"the predictions in {store.folder} are missing or damaged, and a model cannot be calibrated "
            f"without them: give another {field('out')}"
        )
    probabilities = np.concatenate([predictions.probabilities for predictions in kept])
    labels = np.concatenate([predictions.labels for predictions in kept])
    return fit_temperature(probabilities, labels)


def _is_valid(arrays: Mapping[str, np.ndarray], ways: int | None) -> bool:
    probabilities, labels, index = (arrays[name] for name in ("probabilities", "labels", "index"))
    return (
        probabilities.ndim == 2
        and probabilities.dtype.kind == "f"
        and bool(np.isfinite(probabilities).all())
        and labels.shape == index.shape == probabilities.shape[:1]
        and labels.dtype.kind in "iu"
        and index.dtype.kind in "iu"
        and len(labels) > 0
        and 0 <= labels.min() <= labels.max() < probabilities.shape[1]
        and index.min() >= 0
        and (ways is None or len(np.unique(labels)) == ways)
        and arrays["part"].shape == ()
        and arrays["part"].dtype.kind == "U"
    )
