"""What was taken for what: predictions of many tasks as one confusion matrix."""

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
    """Return the matrix as a table, darker where more images stand; the worst confusions if it is large.

    Classes that never met in a task have an empty cell: none could be taken for the other.
    """
    shares = confusion(pooled)
    images = np.bincount(pooled.truth, minlength=len(pooled.names))
    if len(pooled.names) > LARGEST:
        return _worst(pooled.names, shares)
    rows = []
    for i in np.flatnonzero(images):
        cells = [
            tag("td", f"{share:.1f}", style=f"--share: {share / 100:.3f}", class_="right" if i == j else None)
            if share or pooled.met[i, j]
            else tag("td")
            for j, share in enumerate(shares[i])
        ]
        name = tag("th", pooled.names[i], scope="row")
        rows.append(tag("tr", name, *cells, tag("td", f"{images[i]:,}", class_="count")))
    heads = [tag("th", tag("span", name), scope="col") for name in pooled.names]
    head = tag("tr", tag("th", "true ↓ predicted →", scope="col"), *heads, tag("th", "images", scope="col"))
    return tag("table", tag("thead", head), tag("tbody", *rows), class_="matrix")


def _worst(names: tuple[str, ...], shares: np.ndarray) -> Markup:
    lines = [
        tag("li", f"{names[i]}, taken for {names[j]}: {share:.1f} %")
        for i, j, share in metrics.most_confused(shares, LISTED)
    ]
    return join(tag("p", f"The most frequent confusions of {len(names)} classes:"), tag("ol", *lines))
