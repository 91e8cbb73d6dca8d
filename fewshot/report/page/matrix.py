"""What was taken for what: predictions of many tasks as one confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewshot.report.page.markup import Markup, join, tag
from fewshot.report.predictions import Pooled
from fewshot.stats import metrics

LARGEST = 20  # classes: a matrix of more cannot be read
LISTED = 10  # confusions in the list that stands for a larger one


def confusion(pooled: Pooled) -> np.ndarray:
    """Return the share of each class's images (rows) that was taken for each class, in percent.

    A row sums to 100; rows without an image are 0.
    """
    return metrics.shares(metrics.confusion(pooled.truth, pooled.predicted, len(pooled.names)))


def matrix(pooled: Pooled) -> Markup:
    """Return the matrix of pooled predictions as a table, as `of_shares` does."""
    counts = metrics.confusion(pooled.truth, pooled.predicted, len(pooled.names))
    return of_shares(pooled.names, metrics.shares(counts), counts.sum(1), pooled.met)


def of_shares(
    names: Sequence[str],
    shares: np.ndarray,
    images: np.ndarray,
    met: np.ndarray | None = None,
    noun: str = "images",
    whole: bool = False,
) -> Markup:
    """Return shares as a table, darker where more images stand; the worst confusions if it is large.

    shares: (names, names), the percentage of each class's images (rows) that is taken for each. images: how
    many there are of each class. met: whether two classes stood in one task; where they never did, the cell
    is empty: none could be taken for the other. noun: what the images are. whole: whether shares are told as
    numbers of 100, of which nothing is certain.
    """
    if len(names) > LARGEST:
        return _worst(names, shares)
    rows = []
    for i in np.flatnonzero(images):
        cells = [
            _cell(share, whole, i == j) if share or met is None or met[i, j] else tag("td")
            for j, share in enumerate(shares[i])
        ]
        name = tag("th", names[i], scope="row")
        rows.append(tag("tr", name, *cells, tag("td", f"{images[i]:,}", class_="count")))
    heads = [tag("th", tag("span", name), scope="col") for name in names]
    head = tag("tr", tag("th", "true ↓ predicted →", scope="col"), *heads, tag("th", noun, scope="col"))
    return tag("table", tag("thead", head), tag("tbody", *rows), class_="matrix")


def _cell(share: float, whole: bool, right: bool) -> Markup:
    told = f"{share:.1f}" if not whole else ">99" if share > 99.5 else f"{share:.0f}"
    return tag("td", told, style=f"--share: {share / 100:.3f}", class_="right" if right else None)


def _worst(names: Sequence[str], shares: np.ndarray) -> Markup:
    lines = [
        tag("li", f"{names[i]}, taken for {names[j]}: {share:.1f} %")
        for i, j, share in metrics.most_confused(shares, LISTED)
    ]
    return join(tag("p", f"The most frequent confusions of {len(names)} classes:"), tag("ol", *lines))
