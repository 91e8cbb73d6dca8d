"""Expansions: the training set grows once, before training.

An expansion is a list of transforms; the set then holds the originals and, for each transform, one more
copy of them all: `flip` makes 2N of N. The transforms are albumentations', or written in its idiom
(`transforms`). Mixings are the other kind: they add the averages of all pairs of a set. Expressions
combine both (`grammar`). A new technique is one decorated definition in this file:

    @expansions.register("upside-down")
    def upside_down():
        \"\"\"Add each image mirrored top to bottom (2N).\"\"\"
        import albumentations as A

        return {"upside down": A.VerticalFlip(p=1)}
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewshot.augment import grammar
from fewshot.augment.grammar import Term
from fewshot.data.dataset import Dataset
from fewshot.errors import UsageError
from fewshot.io.digests import sha256_of
from fewshot.registry import Registry
from fewshot.seeding import rng, stream_seed

MAX_VIEWS = 100  # versions of the images that an albumentations file may fill the memory with
# Images in all these versions: 0.6 GB of 32×32, thrice that while they are drawn. A task of 2,000 images
# keeps its 100 views; the 50,000 of CIFAR-10 get 4, where 100 would take 15 GB.
MAX_DRAWN = 200_000
PROBES = 32  # draws of a user's pipeline that are tried before anything starts

expansions = Registry("offline augmentation", namespace="method")


@dataclass(frozen=True)
class Examples:
    """What a network is trained on: images and their label distributions, mixed in pairs or as they are.

    x: uint8, (M, height, width, 3). targets: float32, (M, classes), rows sum to 1.
    pairs: int32, (T, 2), or None. Example t is then the average of the images `pairs[t]` (twice the same
    one for an image as it is); averages are made in the graph, never held.
    share: float32, (T,): how much of example t's target comes from its second image (0 or 0.5).
    views: x holds so many versions of the same images one after the other; each epoch sees the next one.
    """

    x: np.ndarray
    targets: np.ndarray
    pairs: np.ndarray | None = None
    share: np.ndarray | None = None
    views: int = 1

    def __len__(self) -> int:
        """The examples that one epoch sees."""
        return len(self.x if self.pairs is None else self.pairs) // self.views


# Definitions: a caption and a transform for each copy that the expansion adds. The trait `copies` says how
# many where it is not one, so that sizes are known without importing albumentations.


@expansions.register("none", copies=0)
def none():
    """The task's images as they are: the baseline."""
    return {}


@expansions.register("flip")
def flip():
    """Add each image mirrored left to right (2N)."""
    import albumentations as A

    return {"flip": A.HorizontalFlip(p=1)}


@expansions.register("rotation", copies=3)
def rotation():
    """Add each image turned by 90, 180 and 270° counterclockwise (4N)."""
    import albumentations as A

    # Transposed and mirrored, not interpolated: exact.
    turns = {
        "rotate 90°": [A.Transpose(p=1), A.VerticalFlip(p=1)],
        "rotate 180°": [A.VerticalFlip(p=1), A.HorizontalFlip(p=1)],
        "rotate 270°": [A.Transpose(p=1), A.HorizontalFlip(p=1)],
    }
    return {caption: A.Sequential(steps, p=1) for caption, steps in turns.items()}


@expansions.register("color-isolation", copies=3)
def color_isolation():
    """Add each image's red, green and blue channel alone, the others zero (4N)."""
    from fewshot.augment.transforms import ChannelIsolation

    colors = ("red", "green", "blue")
    return {f"{color} only": ChannelIsolation(channel, p=1) for channel, color in enumerate(colors)}


@expansions.register("patchshuffle", multiple_of=2)
def patchshuffle():
    """Add each image with its four quarters at random permuted, as the few-shot report did it (2N)."""
    import albumentations as A

    # One permutation in 24 leaves all quarters in place: the report does not say that it left that out.
    return {"quarters moved": A.RandomGridShuffle(grid=(2, 2), p=1)}


@expansions.register("patchshuffle-pixels")
def patchshuffle_pixels():
    """Add each image with the pixels permuted inside each patch of 16×16 (2N)."""
    from fewshot.augment.transforms import PatchPixelShuffle

    return {"pixels in 16×16": PatchPixelShuffle((16, 16), p=1)}


@expansions.register("patchshuffle-paper")
def patchshuffle_paper():
    """Add each image, one in twenty with the pixels permuted inside each 2×2 (2N, arXiv 1707.07103)."""
    from fewshot.augment.transforms import PatchPixelShuffle

    return {"pixels in 2×2 (p .05)": PatchPixelShuffle((2, 2), p=0.05)}


@expansions.register("crop", copies=4)
def crop():
    """Add each image's four corners, seven eighths of its sides, enlarged (5N)."""
    import albumentations as A

    # What is cut off at the top, right, bottom and left.
    corners = {
        f"{up} {side}": (
            (up == "lower") / 8,
            (side == "left") / 8,
            (up == "upper") / 8,
            (side == "right") / 8,
        )
        for up in ("upper", "lower")
        for side in ("left", "right")
    }
    return {
        caption: A.CropAndPad(
            percent=tuple(-part for part in parts), keep_size=True, sample_independently=False, p=1
        )
        for caption, parts in corners.items()
    }


# Mixings: how much of an average's label comes from the second image of the pair.


@expansions.register("mixing", mixes=True)
def mixing():
    """Add the average of every ordered pair, also with itself, under the first's label (N²+N)."""
    return 0.0


@expansions.register("mixing-soft", mixes=True)
def mixing_soft():
    """Add the average of every ordered pair, also with itself, under the average label (N²+N)."""
    return 0.5


def mixes(expression: str) -> bool:
    """Return whether the expression averages images, which is done in the graph, a batch at a time."""
    return any(map(_mixes, parse(expression)))


def parse(expression: str) -> tuple[Term, ...]:
    """Return the expression's terms; raises `UsageError` with a caret under what is wrong."""
    return grammar.parse(expression, expansions)


def canonical(expression: str) -> str:
    """Return the one way to write the expression: what records, tables and file names go by."""
    return grammar.canonical(parse(expression))


def versions(expression: str) -> dict[str, int | str]:
    """Return the version of everything that the expression names; a file's is its content's SHA-256."""
    terms = parse(expression)
    names = [term.name for term in (*terms, *(inner for term in terms for inner in term.inside))]
    return {name: _version(Term(name)) for name in sorted(set(names))}


def captions(expression: str) -> list[str]:
    """Return a few words on each copy of the originals that `expand` puts behind them, in its order."""
    return [caption for term in _plain(parse(expression)) for caption in _transforms(term)]


def size(expression: str, n: int) -> int:
    """Return how many examples an epoch over the expanded set of `n` images sees, without building it."""
    terms = parse(expression)
    if _pipeline_alone(terms):
        return n
    mixtures = sum((n * (1 + _copies(term.inside))) ** 2 for term in terms if _mixes(term))
    return n * (1 + _copies(_plain(terms))) + mixtures


def check(expression: str, image_shape: tuple[int, int, int]) -> None:
    """Raise `UsageError` if the expression is wrong or cannot expand images of this shape.

    An albumentations file is loaded and tried on a noise image: what would fail in a trial fails here.
    """
    for term in _plain(parse(expression)):
        if term.file:
            noise = rng(0, "check").integers(0, 256, image_shape).astype(np.uint8)
            for caption, transform in _transforms(term).items():
                _transformed(np.stack([noise] * PROBES), transform, term, caption, seed=0)
        elif any(side % expansions[term.name].traits.get("multiple_of", 1) for side in image_shape[:2]):
            raise UsageError(
                f"{term} needs sides that are multiples of {expansions[term.name].traits['multiple_of']}. "
                f"Received: {image_shape[0]}×{image_shape[1]}"
            )


def expand(train: Dataset, expression: str, seed: int, epochs: int | None = None) -> Examples:
    """Return the training images and what the expression makes of them, a function of the seed.

    Every transform draws from a stream of its own, named by the transform and not by its place; images
    are expanded in the order of `train`. A lone `albumentations:FILE` replaces the originals: its result
    holds a view drawn anew for each of `epochs` epochs, up to `MAX_VIEWS` and, of a large set, up to
    `MAX_DRAWN` images in all, but one at least; they come round again. Raises `UsageError`.
    """
    terms = parse(expression)
    x = np.asarray(train.x)
    targets = np.eye(len(train.classes), dtype=np.float32)[train.y]
    if _pipeline_alone(terms):
        views = max(1, min(epochs or 1, MAX_VIEWS, MAX_DRAWN // len(x)))
        ((caption, transform),) = _transforms(terms[0]).items()
        drawn = _transformed(np.concatenate([x] * views), transform, terms[0], caption, seed)
        return Examples(drawn, np.tile(targets, (views, 1)), views=views)

    copies, blocks = [x], {}  # blocks: where each term's copies stand in `copies`
    for term in _plain(terms):
        copies_of_term = [
            _transformed(x, transform, term, caption, seed)
            for caption, transform in _transforms(term).items()
        ]
        blocks[term] = range(len(copies), len(copies) + len(copies_of_term))
        copies += copies_of_term
    base = np.arange(len(copies) * len(x), dtype=np.int32)
    pairs, share = [np.stack([base, base], 1)], [np.zeros(len(base), np.float32)]
    for term in filter(_mixes, terms):
        inner = [0, *(block for within in term.inside for block in blocks[within])]
        mixed = base.reshape(len(copies), len(x))[inner].ravel()
        pairs.append(np.stack([np.repeat(mixed, len(mixed)), np.tile(mixed, len(mixed))], 1))
        share.append(np.full(len(mixed) ** 2, expansions[term.name](), np.float32))
    images, targets = np.concatenate(copies), np.tile(targets, (len(copies), 1))
    if len(pairs) == 1:
        return Examples(images, targets)
    return Examples(images, targets, np.concatenate(pairs), np.concatenate(share))


def _plain(terms: Iterable[Term]) -> list[Term]:
    """Return the terms that make copies, those inside mixings included, each once."""
    plain_terms = [plain for term in terms for plain in (term.inside if _mixes(term) else [term])]
    return list(dict.fromkeys(plain_terms))


def _mixes(term: Term) -> bool:
    return not term.file and expansions[term.name].traits.get("mixes", False)


def _pipeline_alone(terms: tuple[Term, ...]) -> bool:
    return len(terms) == 1 and terms[0].file is not None


def _copies(terms: Iterable[Term]) -> int:
    return sum(1 if term.file else expansions[term.name].traits.get("copies", 1) for term in terms)


def _transforms(term: Term) -> dict:
    """Return the transform of every copy that a term adds, by caption."""
    if not term.file:
        return expansions[term.name]()
    from fewshot.augment.transforms import load

    path = Path(term.file)
    return {path.stem: load(path)}


def _version(term: Term) -> int | str:
    if not term.file:
        return expansions[term.name].version
    try:
        return sha256_of(term.file)
    except OSError as error:
        raise UsageError(f"cannot read {term.file}: {error.strerror}") from error


def _transformed(x: np.ndarray, transform, term: Term, caption: str, seed: int) -> np.ndarray:
    """Return the images, each transformed by a draw of its own."""
    import albumentations as A

    from fewshot.augment.transforms import apply

    # A file's stream is named by its content, so that it may be moved.
    stream = f"expand {_version(term) if term.file else f'{term}: {caption}'}"
    pipeline = A.Compose([transform])
    # `Compose(seed=…)` gives each transform a generator with the same seed: two flips with p = 0.5 would
    # always come together. Shared generators make their draws independent.
    pipeline.set_random_state(rng(seed, stream), random.Random(stream_seed(seed, stream)))
    return np.stack([apply(pipeline, image, str(term)) for image in x])
