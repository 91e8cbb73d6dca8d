"""Draw images from generators that `gan.train` saved: files in class folders, one .npz, a grid, a walk.

python -m gan.generate results/gan --n 1000 --out synthetic
python -m gan.generate results/gan --n 1000 --npz synthetic.npz --grid grid.png --interpolation walk.png
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from fewshot import backend, cli
from fewshot.data.dataset import Dataset
from fewshot.errors import FewshotError, UsageError, field
from fewshot.io.files import slug
from fewshot.machine import cores
from fewshot.wording import one_line
from gan import pictures
from gan.generators import CARD, Generator, sample_images
from gan.networks import to_images

TRAINING = ("preset", "recipe", "data", "fingerprint", "protocol", "seed")  # what generators have in common
GRID_EACH = 20  # images of every class


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv, "interrupted")


def _parser() -> cli.Parser:
    parser = cli.Parser(
        prog=cli.prog("gan.generate"),
        description="Draw images from saved generators. The same seed draws the same images; of more, the "
        "first ones are the same.",
    )
    parser.add_argument("folder", type=cli.path, metavar="DIR", help="what `gan train` wrote: its --out")
    parser.add_argument("--n", type=cli.positive, default=100, help="images a class (default: %(default)s)")
    cli.add_seed(parser, "decides the images")
    cli.add_out(parser, "write PNG files here, in a folder for each class", None)
    parser.add_argument(
        "--npz", type=cli.path, metavar="FILE", help="write x (uint8), y and classes to one file"
    )
    parser.add_argument(
        "--grid", type=cli.picture, metavar="FILE.png", help=f"write one picture, {GRID_EACH} images a class"
    )
    parser.add_argument(
        "--interpolation", type=cli.picture, metavar="FILE.png", help="write walks from one latent to another"
    )
    cli.add_machine(parser)
    cli.add_common(parser, cache=False)
    return parser


def load(folder: Path) -> list[Generator]:
    """Return the generators saved in a folder or its sub-folders; `UsageError` where there are none.

    Models are read in Keras's safe mode: nothing in them is run. Needs `fewshot.backend.start` before.
    """
    cards = sorted([*folder.glob(CARD), *folder.glob(f"*/{CARD}")])
    if not cards:
        raise UsageError(f"{folder} holds no generator: train one first, with {field('out', folder)}")
    _check_together(folder, cards)
    return [_load(card) for card in cards]


def _check_together(folder: Path, cards: list[Path]) -> None:
    """Raise `UsageError` for generators that were not trained together: their classes would be mixed up."""
    trainings: dict[str, list[Path]] = {}
    for card in cards:
        note = _read(card)
        one = json.dumps([note.get(key) for key in TRAINING], sort_keys=True)
        trainings.setdefault(one, []).append(card)
    if len(trainings) > 1:
        places = "; ".join(
            f"{_read(of[0]).get('preset')} in {', '.join(str(card.parent) for card in of)}"
            for of in trainings.values()
        )
        raise UsageError(
            f"{folder} holds generators of {len(trainings)} trainings ({places}): name the folder of one"
        )


def _read(card: Path) -> dict:
    """Return what stands on a generator's card; `FewshotError` where it is none."""
    try:
        note = json.loads(card.read_text(encoding="utf-8"))
        if not isinstance(note, dict):
            raise ValueError("it is no card")
    except (OSError, ValueError, RecursionError) as error:
        raise FewshotError(f"the card {card} cannot be read ({one_line(error)}): train it anew") from error
    return note


def _load(card: Path) -> Generator:
    import keras

    path = card.with_name("generator.keras")
    note = _read(card)
    try:
        classes, conditional = tuple(map(str, note["classes"])), bool(note["conditional"])
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        latent = int(model.inputs[0].shape[-1])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FewshotError(
            f"the generator {path} cannot be read ({one_line(error)}): train it anew"
        ) from error
    wanted = [latent, len(classes)] if conditional else [latent]
    if [tensor.shape[-1] for tensor in model.inputs] != wanted:
        raise FewshotError(f"the generator {path} and {card.name} beside it do not agree: train it anew")
    forward = backend.compile_forward(model)

    def make(latents, labels):
        inputs = [latents, np.eye(len(classes), dtype=np.float32)[labels]] if conditional else [latents]
        return to_images(forward, *inputs)

    return Generator(make, latent, classes)


def _run(args: argparse.Namespace) -> None:
    if not (args.out or args.npz or args.grid or args.interpolation):
        raise UsageError(
            f"say what to write: {field('out', 'DIR')}, {field('npz', 'FILE')}, {field('grid', 'FILE.png')}, "
            f"{field('interpolation', 'FILE.png')}"
        )
    folder = Path(args.folder)
    if not folder.is_dir():
        raise UsageError(f"no such directory: {args.folder}")
    backend.start(args.threads or cores(), backend.resolve_device(args.device))
    generators = load(folder)
    images = sample_images(generators, args.n, args.seed)
    try:
        for line in _write(args, generators, images):
            print(line)
    except OSError as error:
        raise FewshotError(f"cannot write {error.filename or 'the images'}: {error.strerror}") from error


def _write(args: argparse.Namespace, generators: list[Generator], images: Dataset):
    """Write what was asked for, and yield a line on each."""
    if args.out:
        for number, (label, image) in enumerate(zip(images.y, images.x, strict=True)):
            name = slug(images.classes[label], keep=" ").strip(". ") or f"class {label}"
            pictures.save(image, Path(args.out) / name / f"{number % args.n:05}.png")
        yield f"{len(images):,} images in {args.out}"
    if args.npz:
        with Path(args.npz).open("wb") as file:
            np.savez_compressed(file, x=images.x, y=images.y, classes=np.array(images.classes))
        yield f"{len(images):,} images in {args.npz}"
    if args.grid:
        shown = [images.x[images.y == label][:GRID_EACH] for label in range(len(images.classes))]
        yield f"grid: {pictures.save(pictures.grid(np.concatenate(shown)), Path(args.grid))}"
    if args.interpolation:
        walks = [
            pictures.interpolation(generator.make, generator.latent, label, args.seed)
            for generator in generators
            for label in range(len(generator.classes))
        ]
        yield f"interpolation: {pictures.save(np.concatenate(walks), Path(args.interpolation))}"


if __name__ == "__main__":
    sys.exit(main())
