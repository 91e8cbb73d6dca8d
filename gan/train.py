"""Train a GAN on a task's images, on one class, on a whole dataset or on a folder.

python -m gan.train --classes airplane --preset report
python -m gan.train --preset best --seed 3
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fewshot import backend, cli
from fewshot.backbones import features
from fewshot.data import open_splits, prepare
from fewshot.data.dataset import Dataset
from fewshot.errors import DivergedError, FewshotError
from fewshot.io.files import held, mark_output, slug
from fewshot.machine import cores
from fewshot.seeding import rng
from gan import pictures, quality
from gan.generators import CARD, Generator
from gan.networks import architectures
from gan.recipe import FIELDS, GanRecipe, parse, presets
from gan.training import Run, marks, separate

EVENTS = 20  # pictures and checkpoints in a training, unless --every says otherwise
SAMPLES = 200  # for the KID along the way …
FINAL = 1000  # … and at the end
COLLAPSED = 0.4  # samples this much less diverse than the training images bring a warning


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv, "interrupted; the same command resumes after the last checkpoint")


def _parser() -> cli.Parser:
    listed = "\n".join(f"  {name:8}  {presets[name].summary}" for name in presets)
    switches = "; ".join(f"{name}: {', '.join(architectures.switches(name))}" for name in architectures)
    parser = cli.Parser(
        prog=cli.prog("gan.train"),
        usage="%(prog)s [--preset NAME[:setting=value,…]] [--classes NAME …] [options]",
        description="Train a GAN on the training images that a protocol draws: of two classes × 50, of one "
        "class (--classes airplane), a whole dataset (--protocol full) or your own folder (--data DIR).",
        epilog=f"presets:\n{listed}\n\nsettings of every preset: {', '.join(FIELDS)}\n"
        f"switches of its architecture: {switches}\n"
        "  --preset best:updates=4000,width=48    --preset report:labels=together --protocol full\n"
        "The same command again resumes where it stopped.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--preset", default="best", metavar="NAME", help="how to train (default: %(default)s)"
    )
    task = parser.add_argument_group("images (protocol and seed alone decide which)")
    cli.add_seed(task, "decides the task, and all that is drawn")
    cli.add_draws(task)
    cli.add_data(parser)
    cli.add_machine(parser)
    output = cli.add_output(
        parser,
        "generators and pictures",
        "results/gan",
        fresh="begin anew, also where there is a checkpoint",
    )
    output.add_argument(
        "--every",
        type=cli.positive,
        metavar="EPOCHS",
        help=f"epochs between samples, checkpoints and KID (default: {EVENTS} times in all)",
    )
    output.add_argument(
        "--features",
        default=quality.FEATURES,
        metavar="BACKBONE",
        help="whose features measure quality; none: do not measure (default: %(default)s)",
    )
    output.add_argument("--fid", action="store_true", help="also the Fréchet distance, at the end")
    cli.add_common(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    recipe = parse(args.preset)
    if args.features != "none":
        features.parse(args.features)  # a misspelt name is found before anything is fetched
    data = prepare(cli.dataset(args), args.data_dir, least_classes=1)
    if data.notes:
        print(*data.notes, sep="\n", file=sys.stderr)
    protocol = cli.draws(args).resolve(data, least_ways=1)
    task = protocol.sample_task(open_splits(data.folder), args.seed)
    backend.start(args.threads or cores(), backend.resolve_device(args.device))
    held_out, parts, results = task.test.compact(), separate(recipe, task.train.compact()), []
    source = {"data": data.name, "fingerprint": data.fingerprint, "protocol": protocol.describe()}
    with contextlib.ExitStack() as block:
        with cli.writing(Path(args.out)):
            mark_output(Path(args.out))
            block.enter_context(held(Path(args.out)))
        for part in parts:
            folder = Path(args.out) / (slug(part.classes[0]) if len(parts) > 1 else "")
            labels = {name: held_out.classes.index(name) for name in part.classes}
            references = {name: held_out.x[held_out.y == label] for name, label in labels.items()}
            place = f"held-out images ({data.name}, {task.test_part} part)"
            training = _Training(args, recipe, part, Reference(place, references), folder)
            results.append(training.run(source | {"part": task.test_part}))
    print(cli.as_json({"generators": results}) if args.json else "\n\n".join(map(_text, results)))


@dataclass(frozen=True)
class Reference:
    """The real images that samples are compared with: whose they are, and those of each class."""

    name: str
    images: dict[str, np.ndarray]


class _Training:
    """One generator: its run, and all that is shown and kept of it in a folder."""

    def __init__(self, args, recipe: GanRecipe, images: Dataset, reference: Reference, folder: Path):
        self._args, self._recipe, self._images = args, recipe, images
        self._reference, self._folder = reference, folder
        self._checkpoint = folder / "checkpoint.npz"

    def run(self, source: dict) -> dict:
        """Train to the last update, from a checkpoint where there is one; return what came of it."""
        args, recipe, n = self._args, self._recipe, len(self._images)
        run = Run(recipe, self._images, args.seed)
        if args.fresh:
            shutil.rmtree(self._folder / "samples", ignore_errors=True)
        log = run.resume(self._checkpoint) if self._checkpoint.exists() and not args.fresh else []
        every = (args.every or 0) * recipe.epoch_steps(n) or max(1, run.total // EVENTS)
        self._header(run, n)
        with tqdm(
            total=run.total, initial=run.done, unit="update", disable=None, dynamic_ncols=True, smoothing=0.1
        ) as bar:
            for mark in marks(run.total, every):
                try:
                    for _ in run.advance(mark):
                        bar.update(run.done - bar.n)
                        bar.set_postfix(self._state(run, log), refresh=False)
                except DivergedError as error:
                    raise FewshotError(
                        f"{error}: the last good checkpoint stays in {self._checkpoint}; "
                        "try a lower learning_rate and discriminator_rate"
                    ) from error
                if len(log) == 0 or log[-1]["update"] < mark:
                    log.append(self._look(run, log, bar))
                    run.save(self._checkpoint, log)
        with cli.writing(self._folder):
            return self._finish(run, log, source)

    def _header(self, run: Run, n: int) -> None:
        classes = ", ".join(self._images.classes)
        drawn = (
            f", each batch of {self._recipe.batch} drawn with replacement" if n < self._recipe.batch else ""
        )
        print(
            f"{classes}: {n} images{drawn}; {run.total:,} updates"
            + (f", resuming after {run.done:,}" if run.done else "")
            + f"; results in {self._folder}{os.sep}",
            file=sys.stderr,
        )

    def _state(self, run: Run, log: list[dict]) -> dict[str, str]:
        losses = run.traces[-50:, ::2].mean(0)
        shown = {"D": f"{losses[0]:.2f}", "G": f"{losses[1]:.2f}"}
        return shown | ({"KID": f"{log[-1]['kid']:.3f}"} if log and log[-1]["kid"] is not None else {})

    def _look(self, run: Run, log: list[dict], bar: tqdm) -> dict:
        """Keep a grid of samples of fixed latents, and measure; warn of a collapse."""
        classes = len(self._images.classes)
        rows = max(1, 10 // classes)
        latents = rng(self._args.seed, "grid").standard_normal(
            (10 * rows * classes, run.engine.latent), np.float32
        )
        images = run.sample(latents, np.repeat(np.arange(classes), 10 * rows))
        with cli.writing(self._folder):
            pictures.save(pictures.grid(images), self._folder / "samples" / f"update-{run.done:07}.png")
        varied = quality.diversity(self._images.x, images)
        before = log[-1]["diversity"] if log else 0.0
        if varied < COLLAPSED and (before >= COLLAPSED or run.done == run.total):
            bar.write(
                f"warning: the samples differ {100 * varied:.0f} % as much as the training images after "
                f"update {run.done:,}: the generator may be collapsing",
                file=sys.stderr,
            )
        qualities = self._measure(run, SAMPLES)
        value = float(np.mean([row.kid for row in qualities])) if qualities else None
        return {"update": run.done, "seconds": round(run.seconds, 1), "diversity": varied, "kid": value}

    def _generator(self, run: Run) -> Generator:
        classes = self._images.classes if self._recipe.labels != "together" else ("all",)
        return Generator(run.sample, run.engine.latent, classes, run.seconds)

    def _measure(self, run: Run, each: int, fid: bool = False) -> list[quality.Quality]:
        """Return the quality of `each` samples of every class, as far as asked for and possible."""
        if self._args.features == "none":
            return []
        samples = self._generator(run).sample(each, self._args.seed)
        qualities = []
        for label, name in enumerate(samples.classes):
            train, reference = self._images.x, np.concatenate(list(self._reference.images.values()))
            if name in self._reference.images:
                train = self._images.x[self._images.y == self._images.classes.index(name)]
                reference = self._reference.images[name]
            if len(reference) > 1 and len(train):
                named = f"{len(reference)} {self._reference.name} of {name}"
                images = samples.x[samples.y == label]
                qualities.append(quality.measure(images, train, reference, named, self._args.features, fid))
        return qualities

    def _finish(self, run: Run, log: list[dict], source: dict) -> dict:
        """Write the generator, its card and the pictures; return what a program wants to know."""
        from fewshot.backbones.features import extract

        folder, args = self._folder, self._args
        frames = sorted((folder / "samples").glob("update-*.png"))
        figures = [
            pictures.animate(frames, folder / "training.gif"),
            *pictures.curves(
                run.traces, log, folder / "curves", f"{args.preset}: {', '.join(self._images.classes)}"
            ),
        ]
        generator = self._generator(run)
        with run.engine.averaged():
            run.engine.generator.save(folder / "generator.keras")
        if args.features != "none":
            samples = generator.sample(max(1, 12 // len(generator.classes)), args.seed).x[:12]
            vectors = [
                quality.directions(extract(args.features, x, keep))
                for x, keep in ((self._images.x, True), (samples, False))
            ]
            figures += pictures.neighbours(
                samples,
                self._images.x,
                quality.nearest(*vectors),
                folder / "neighbours",
                "Samples and the training images nearest to them",
            )
        result = {
            "folder": str(folder),
            "preset": args.preset,
            "recipe": self._recipe.describe(),
            **source,
            "seed": args.seed,
            "classes": list(generator.classes),
            "conditional": self._recipe.labels == "conditional",
            "latent": generator.latent,
            "images": len(self._images),
            "updates": run.done,
            "seconds": round(run.seconds, 1),
            "quality": [row.row() for row in self._measure(run, FINAL, args.fid)],
            "figures": [str(path) for path in figures],
        }
        (folder / CARD).write_text(json.dumps(result, indent=1), encoding="utf-8")
        return result


def _text(result: dict) -> str:
    """Return in words what came of a training."""
    lines = [f"{', '.join(result['classes'])}: {result['updates']:,} updates in {result['seconds']:.0f} s"]
    for row in result["quality"]:
        fid = "" if row["fid"] is None else f"; FID {row['fid']:.1f}"
        lines.append(
            f"  against {row['reference']}: KID {row['kid']:.3f} ± {row['kid_std']:.3f}; "
            f"density {row['density']:.2f}, coverage {row['coverage']:.2f}; "
            f"diversity {row['diversity']:.2f}; copies {row['copies']:.1f} %{fid}"
        )
    lines.append(
        f"  generator: {result['folder']}{os.sep}generator.keras; pictures: {', '.join(result['figures'])}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
