"""How unusual a number is beside the others, where most of the others are usual."""

from __future__ import annotations

import numpy as np


def unusual(values: np.ndarray, least_spread: float, high: bool = True) -> np.ndarray:
    """Return, for each value, how sure it is that it is none of the others' kind, 0 to 1.

    The others are taken as normally distributed, by their median and interquartile range. Where chance alone
    would bring forth `e` values so far out among so many, the value gets 1 - e: no less than 0, and no more
    than 0.99, as nothing is certain.

    Parameters
    ----------
    values
        (N,), such that usual ones are about normal: a logarithm of what is positive.
    least_spread
        The standard deviation that is assumed at least: what is nearer than that is no difference.
    high
        Whether large values are looked for; small ones otherwise.
    """
    from scipy.stats import norm

    values = np.asarray(values, np.float64)
    if not len(values):
        return np.zeros(0)
    low, middle, up = np.percentile(values, (25, 50, 75))
    spread = max((up - low) / 1.349, least_spread)
    expected = len(values) * norm.sf((values - middle if high else middle - values) / spread)
    return np.clip(1 - expected, 0, 0.99)
