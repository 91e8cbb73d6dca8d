"""The held-out predictions of many trials, put together: whatever tasks they come from, by class name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fewshot.trials.predictions import read_predictions
from fewshot.trials.record import Record
from fewshot.trials.store import Store

OTHER = "another class"  # one that the task does not have


@dataclass(frozen=True)
class Pooled:
    """N predictions. truth, predicted: positions in `names` (N,); confidence: the highest probability (N,).

    met: (names, names), whether two classes stood in one task. missing: keys of trials whose file is not
    there or is torn.
    """

    names: tuple[str, ...]
    truth: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    met: np.ndarray
    missing: tuple[str, ...]


def pool(store: Store, records: Iterable[Record]) -> Pooled:
    """Put the predictions of successful trials together; names are in alphabetical order."""
    succeeded = [record for record in records if record.ok]
    names = sorted({str(name) for record in succeeded for name in record.classes})
    position = {name: i for i, name in enumerate([*names, OTHER])}
    met = np.zeros((len(position), len(position)), bool)
    parts, missing = [], []
    for record in succeeded:
        predictions = read_predictions(store, record)
        if predictions is None:
            missing.append(record.key)
            continue
        probabilities, labels = predictions.probabilities, predictions.labels
        # The dataset's label → where its name stands. Protocols hold images out class by class, in the
        # order in which they name the classes: the labels appear in that order.
        place = np.full(probabilities.shape[1], position[OTHER])
        drawn = [position[str(name)] for name in record.classes]
        place[list(dict.fromkeys(labels.tolist()))] = drawn
        parts.append((place[labels], place[predictions.answers], probabilities.max(1).astype(float)))
        met[np.ix_(drawn, drawn)] = True
    empty = (np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    truth, predicted, confidence = map(np.concatenate, zip(*parts, strict=True)) if parts else empty
    if (predicted == position[OTHER]).any():
        names = [*names, OTHER]
    met = met[: len(names), : len(names)]
    return Pooled(tuple(names), truth, predicted, confidence, met, tuple(missing))
