"""Images that every method gets wrong: hard ones, or ones with a wrong label."""

from collections.abc import Mapping

import numpy as np

from fewshot.trials.predictions import read_predictions
from fewshot.trials.record import Record
from fewshot.trials.store import Store


def hard_images(records: Mapping[str, Mapping[int, Record]], store: Store) -> list[tuple[int, str, int]]:
    """Return the held-out images that every method gets wrong in most draws: position, part, its answer.

    The answer is the class that the methods give most often. An image counts once it was held out twice.

    Parameters
    ----------
    records
        Method → draw → record.
    store
        Where their predictions are.
    """
    votes: dict[tuple[int, str], dict[str, list[tuple[int, int]]]] = {}
    for method, by_draw in records.items():
        for record in by_draw.values():
            predictions = read_predictions(store, record) if record.ok else None
            if predictions is None:
                continue
            images = zip(predictions.index, predictions.labels, predictions.answers, strict=True)
            for index, label, answer in images:
                by_method = votes.setdefault((int(index), predictions.part), {})
                by_method.setdefault(method, []).append((int(label), int(answer)))
    hard = []
    for (index, part), by_method in votes.items():
        accuracies = [np.mean([label == answer for label, answer in pairs]) for pairs in by_method.values()]
        answers = [answer for pairs in by_method.values() for _, answer in pairs]
        if max(accuracies) < 0.5 and len(answers) >= 2 * len(by_method):
            hard.append((index, part, int(np.bincount(answers).argmax()), len(answers)))
    hard.sort(key=lambda image: (-image[3], image[0]))
    return [(index, part, answer) for index, part, answer, _ in hard]
