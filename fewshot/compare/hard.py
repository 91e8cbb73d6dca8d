"""Images that every strategy gets wrong: hard ones, or ones with a wrong label."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fewshot.compare.held_out import HeldOut


def hard_images(said: Mapping[str, HeldOut]) -> list[tuple[int, int]]:
    """Return the held-out images that every strategy gets wrong in most rounds, each with its answer.

    The answer is the class that the strategies give most often. What fewer than two strategies, or one in
    fewer than two rounds, were asked about is no evidence yet. The surest come first.

    Parameters
    ----------
    said
        Strategy → what it said of the held-out images.
    """
    if not said:
        return []
    correct = np.stack([of_one.correct() for of_one in said.values()])
    asked = sum((~np.isnan(of_one.probabilities[:, :, 0])).sum(0) for of_one in said.values())
    with np.errstate(invalid="ignore"):
        wrong = np.all(np.isnan(correct) | (correct < 0.5), 0) & (asked >= 2)
    # A mean over strategies that were asked; where none was, the image is not among the wrong ones.
    mean = np.nanmean(np.stack([of_one.mean() for of_one in said.values()])[:, wrong], 0)
    answers = mean.argmax(1)
    order = np.argsort(-mean.max(1), kind="stable")
    positions = np.flatnonzero(wrong)
    return [(int(positions[i]), int(answers[i])) for i in order]
