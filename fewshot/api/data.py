"""`load`: a dataset by its name, a folder of photos or arrays, with the rule that draws tasks from it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from fewshot.arguments import names, whole_number
from fewshot.data import Dataset, DataSpec, Prepared, Splits, open_splits, prepare
from fewshot.data.arrays import prepare_arrays
from fewshot.data.dataset import Prior
from fewshot.data.protocols import Protocol, Task, protocols
from fewshot.errors import UsageError, field, unknown
from fewshot.learners.contract import Learner
from fewshot.report.page.markup import Markup, embedded, tag
from fewshot.trials.plan import Draws, Images, load_images

Source: TypeAlias = "str | Path | tuple[Any, ...] | Data"
SHOWN_CLASSES, SHOWN_IMAGES, SHOWN_SIDE = 12, 6, 48  # in a notebook


@dataclass(frozen=True)
class Data:
    """Images with the rule that draws tasks from them. Made by `fewshot.load`.

    source: the name or folder; None for arrays. draws: what the caller said about tasks.
    """

    prepared: Prepared
    draws: Draws
    source: DataSpec | None = None
    data_dir: str | Path | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of all classes."""
        return self.prepared.classes

    @property
    def protocol(self) -> Protocol:
        """The rule that draws tasks, with nothing left open."""
        return self.draws.resolve(self.prepared)

    @property
    def splits(self) -> Splits:
        """The images as their source divides them, memory-mapped: `splits.train.x`, `splits.train.y`."""
        return open_splits(self.prepared.folder)

    def task(self, seed: int) -> Task:
        """Return the task of a seed, the same for every method: `task.train.x`, `task.test.y`, ….

        Raises `UsageError` where the images cannot give such a task.
        """
        return self.protocol.sample_task(self.splits, whole_number("seed", seed, least=0))

    def images(self, learners: Iterable[Learner] = ()) -> Images:
        """Return the images that learners look at: of a folder, larger ones for backbones."""
        if self.source is None:
            return Images(self.prepared, self.prepared, self.prepared)
        return load_images(self.source, self.data_dir, learners)

    def drawn(self, **options: Any) -> Data:
        """Return the same images with other draws; an option that is None stays as it is.

        options: fields of `Draws`, such as shots=5.
        """
        given = {name: value for name, value in options.items() if value is not None}
        return replace(self, draws=checked_draws(**{**vars(self.draws), **given})) if given else self

    def __repr__(self) -> str:
        first = f"{self.prepared.name}: {_contents(self.splits)}; tasks of {self.protocol}"
        return "\n".join((first, *self.prepared.notes))

    def _repr_html_(self) -> str:
        splits = self.splits
        heads = tag("tr", *(tag("th", text) for text in ("class", *splits.parts, "")))
        rows = [_row(splits, label) for label in range(min(SHOWN_CLASSES, len(self.classes)))]
        hidden = len(self.classes) - len(rows)
        return tag(
            "div",
            tag("p", repr(self)),
            tag("table", tag("thead", heads), tag("tbody", *rows)),
            tag("p", f"… and {hidden} more classes") if hidden else None,
        )


def load(
    data: Source = "cifar10",
    image_size: int | None = None,
    *,
    protocol: str | None = None,
    ways: int | None = None,
    shots: int | None = None,
    classes: Sequence[str] = (),
    balanced: bool = True,
    limit_train: int | None = None,
    prior: Prior | None = None,
    data_dir: str | Path | None = None,
    columns: Sequence[str] = (),
) -> Data:
    """Return images, ready to draw tasks from: `fs.load("photos/", shots=20)`.

    Parameters
    ----------
    data
        The name of a dataset ("cifar10", "digits", …), a folder with one sub-folder per class, a table
        of paths and labels, a zip of either, or arrays `(x, y)` or `(x, y, classes)`: x uint8 (N, height,
        width, 3); y whole numbers or texts.
    image_size
        Pixels of a folder's images, which are squares (default: 32, for backbones 224).
    protocol
        The rule that draws tasks (default: that of the dataset; "distinct" for folders and arrays).
    ways, shots
        Classes a task, training images a class; where left out, the data decide.
    classes
        The names of fixed classes, in place of drawn ones.
    balanced
        As many held-out images of each class.
    limit_train
        Of the protocol "full", at most so many training images.
    prior
        How unequal classes count in training: "alike", or "natural", as often as they come (default:
        alike, but for the whole of a dataset with a name, `protocol="full"`).
    data_dir
        Where the files of a named dataset lie, in place of any download.
    columns
        Of a table, the names of the columns of path, label and perhaps part (default: the usual ones).

    Raises
    ------
    UsageError
        For an unknown name, an unfit folder or array, or draws that the data cannot give.
    """
    draws = checked_draws(protocol, ways, shots, classes, balanced, limit_train, prior)
    if isinstance(data, Data):
        if image_size is not None:
            raise UsageError(f"{field('image_size')} is for names and folders: these images are loaded")
        return replace(data, draws=draws)
    if isinstance(data, str | Path):
        if image_size is not None:
            whole_number("image_size", image_size)
        spec = DataSpec(str(data), image_size, columns=names("columns", columns))
        loaded = Data(prepare(spec, data_dir), draws, spec, data_dir)
    else:
        if columns:
            raise UsageError(f"{field('columns')} is for a table of photos: arrays have their labels")
        if image_size is not None:
            raise UsageError(f"{field('image_size')} is for a folder of images: arrays have their size")
        loaded = Data(prepare_arrays(*_arrays(data)), draws)
    for name in draws.classes:
        if name not in loaded.classes:
            raise unknown("class", name, loaded.classes)
    draws.resolve(loaded.prepared)  # what is wrong with it is said now
    return loaded


def loaded(data: Source, image_size: int | None, data_dir: str | Path | None = None, **draws: Any) -> Data:
    """Return data as `load` does, or data that are loaded already, with other draws.

    draws: options of `load`; None for what is not said.
    """
    if not isinstance(data, Data):
        given = {name: value for name, value in draws.items() if value is not None}
        return load(data, image_size, data_dir=data_dir, **given)
    if image_size is not None or data_dir is not None:
        raise UsageError(f"{field('image_size')} and {field('data_dir')} are for fs.load: these are loaded")
    return data.drawn(**draws)


def checked_draws(
    protocol: str | None = None,
    ways: int | None = None,
    shots: int | None = None,
    classes: Sequence[str] = (),
    balanced: bool = True,
    limit_train: int | None = None,
    prior: Prior | None = None,
) -> Draws:
    """Return the draws, whose types are checked: a slip is known before anything is fetched."""
    draws = Draws(protocol, ways, shots, names("classes", classes), balanced, limit_train, prior)
    if draws.protocol is not None:
        protocols[draws.protocol]
    return draws


def _arrays(data: object) -> tuple:
    if isinstance(data, Dataset):
        return data.x, data.y, data.classes
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        return tuple(data)
    raise UsageError(
        f"{field('data')} wants a name, a folder, or arrays (x, y) or (x, y, classes). "
        f"Received: {type(data).__name__}"
    )


def _contents(splits: Splits) -> str:
    sizes = " + ".join(f"{len(part):,} {name}" for name, part in splits.parts.items())
    height, width, _ = splits.train.image_shape
    return f"{len(splits.classes)} classes, {sizes} images of {height}×{width}"


def _row(splits: Splits, label: int) -> Markup:
    """Return the row of a class: its name, how many images it has, and some of them."""
    counts = [tag("td", f"{np.count_nonzero(part.y == label):,}") for part in splits.parts.values()]
    first = np.flatnonzero(splits.train.y == label)[:SHOWN_IMAGES]
    pictures = [_thumbnail(splits.train.x[position]) for position in first]
    return tag("tr", tag("th", splits.classes[label]), *counts, tag("td", *pictures))


def _thumbnail(image: np.ndarray) -> Markup:
    from PIL import Image

    picture, buffer = Image.fromarray(np.asarray(image)), io.BytesIO()
    picture.thumbnail((2 * SHOWN_SIDE, 2 * SHOWN_SIDE))
    picture.save(buffer, "PNG")
    return tag("img", src=embedded(buffer.getvalue(), "png"), height=SHOWN_SIDE, alt="")
