"""The sheet of a method: a few originals of a task, a row each, and what the method makes of them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from fewshot.augment import online
from fewshot.augment.offline import Examples, captions, expand
from fewshot.data.dataset import Dataset
from fewshot.report.plots.figures import CHARACTER, INK, STYLE, write
from fewshot.seeding import rng, seed_globally, stream_seed

Row: TypeAlias = "tuple[str, Sequence[tuple[str, np.ndarray]]]"

TILE, GAP, DPI = 128, 6, 150  # an image's least side, the space between images, dots an inch (as `write`)


def show(train: Dataset, expression: str, seed: int, columns: int = 8, rows: int = 6) -> list[Row]:
    """Return what `sheet` draws of an expansion: images that `expand` returns for training.

    The columns are the originals, the copies and, where the expression mixes, averages with images of the
    set, at least two. Places left over go to the draws of further seeds, where these differ.
    """
    positions = _spread_positions(train, rows)
    examples = expand(train, expression, seed, epochs=columns - 1)
    shown = [("original", train.x[positions])]
    # An albumentations file alone replaces the originals: it has captions, and no image beside its views.
    if captions(expression) and len(examples.x) == examples.views * len(train.x):
        views = examples.x.reshape(examples.views, *train.x.shape)
        shown += [(f"draw {number}", view[positions]) for number, view in enumerate(views, 1)]
    else:
        room = columns - 1 if examples.pairs is None else columns - 3
        copies = examples.x.reshape(-1, *train.x.shape)[1:, positions]
        shown += list(zip(captions(expression), copies, strict=True))[:room]
        if examples.pairs is not None:
            shown += _mixtures(train, examples, positions, columns - len(shown), seed)
        for further in range(seed + 1, seed + 1 + columns - len(shown)):
            redrawn = expand(train, expression, further).x.reshape(-1, *train.x.shape)[1:, positions]
            differ = [i for i, copy in enumerate(copies) if not np.array_equal(copy, redrawn[i])]
            shown += [(f"{shown[1 + i][0]}, seed {further}", redrawn[i]) for i in differ]
    return _rows(train, positions, shown[:columns])


def show_online(train: Dataset, policy: str, seed: int, columns: int = 8, rows: int = 6) -> list[Row]:
    """Return what `sheet` draws of an online policy: the originals and draws of its layers.

    Needs `fewshot.backend.start` before.
    """
    positions = _spread_positions(train, rows)
    seed_globally(stream_seed(seed, "online"))
    layers = online.build(policy)
    shown = [("original", train.x[positions])]
    for number in range(1, columns):
        x, y = (
            train.x[positions].astype(np.float32),
            np.eye(len(train.classes), dtype=np.float32)[train.y[positions]],
        )
        for layer in layers:
            x, y = layer(x, y)
        shown.append((f"draw {number}", np.asarray(x).round().clip(0, 255).astype(np.uint8)))
    return _rows(train, positions, shown)


def sheet(rows: Sequence[Row], path_stem: str | Path, title: str) -> list[Path]:
    """Draw the rows; write PATH_STEM.png and .svg and return both paths.

    A row is its label and its images, each with a caption: uint8, all of one shape; the first row's
    captions head the columns. Each pixel becomes a square of whole dots, so that 32×32 can be seen.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    images = np.array([[image for _, image in cells] for _, cells in rows])
    heads = [textwrap.fill(caption, 13) for caption, _ in rows[0][1]]
    zoom = -(-TILE // max(images.shape[2:4]))
    height, width = (side * zoom + GAP for side in images.shape[2:4])
    page = np.full((len(rows) * height, len(heads) * width, 3), 255, np.uint8)
    for row, cells in enumerate(images.repeat(zoom, 2).repeat(zoom, 3)):
        for column, image in enumerate(cells):
            top, left = row * height, column * width
            page[top : top + image.shape[0], left : left + image.shape[1]] = image

    margin = 0.2 + CHARACTER * max(len(label) for label, _ in rows)
    title = textwrap.fill(title, int((margin + page.shape[1] / DPI) / CHARACTER))
    captions = max(text.count("\n") + 1 for text in heads) if any(heads) else 0
    head = 0.25 + 0.16 * captions + 0.2 * (title.count("\n") + 1)
    inches = np.array([margin + 0.1 + page.shape[1] / DPI, head + page.shape[0] / DPI])
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=inches)
        axes = figure.add_axes((margin / inches[0], 0, *(page.shape[1::-1] / inches / DPI)))
        axes.imshow(page, interpolation="nearest")
        axes.set_xticks([(column + 0.5) * width - GAP / 2 for column in range(len(heads))], heads)
        axes.set_yticks(
            [(row + 0.5) * height - GAP / 2 for row in range(len(rows))], [row[0] for row in rows]
        )
        axes.tick_params(length=0, labelsize=9, labelcolor=INK, top=True, labeltop=True, labelbottom=False)
        axes.spines[:].set_visible(False)
        figure.text(0.1 / inches[0], 1 - 0.08 / inches[1], title, va="top", fontsize=11, color=INK)
        return write(figure, path_stem)


def _spread_positions(train: Dataset, rows: int) -> np.ndarray:
    """Return the positions of about `rows` images, as many of each class."""
    classes = np.unique(train.y)
    each = max(1, rows // len(classes))
    return np.concatenate([np.flatnonzero(train.y == label)[:each] for label in classes])[:rows]


def _rows(train: Dataset, positions: np.ndarray, shown: list[tuple[str, np.ndarray]]) -> list[Row]:
    """Turn columns, each a caption with its images, into rows under the classes' names."""
    return [
        (train.classes[train.y[index]], [(caption, images[row]) for caption, images in shown])
        for row, index in enumerate(positions)
    ]


def _mixtures(train: Dataset, examples: Examples, positions: np.ndarray, count: int, seed: int) -> list:
    """Return `count` columns, in each of which the originals are averaged with the same image of the set."""
    first, second = examples.pairs.T
    candidates = np.flatnonzero((first == positions[0]) & (second != positions[0]))
    shown = []
    for example in rng(seed, "show").choice(candidates, min(count, len(candidates)), replace=False):
        other = second[example]
        label = train.classes[train.y[other % len(train)]]
        caption = f"half {label}" + (", label too" if examples.share[example] else "")
        shown.append(
            (caption, ((train.x[positions].astype(np.uint16) + examples.x[other]) // 2).astype(np.uint8))
        )
    return shown
