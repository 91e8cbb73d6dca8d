"""Which GAN makes the better images of 50 a class, in the same time?

python -m experiments.gans --seeds 3
python -m experiments.gans --preset best best:width=16 --seeds 1000-1002 --protocol testbed
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fewshot import backend, cli
from fewshot.data import Prepared, open_splits, prepare
from fewshot.data.protocols import Protocol
from fewshot.report.kept_table import KeptTable
from fewshot.report.plots.sheet import sheet
from fewshot.report.table import aligned
from fewshot.trials.executor import each
from fewshot.trials.plan import Machine, check_seeds
from gan import quality
from gan.generators import cached, sample_images
from gan.recipe import parse, presets

SAMPLES = 1000  # a class
SHOWN = 10
SEEDS = 3
QUICK_UPDATES = 3


@dataclass(frozen=True)
class Cell:
    """One preset on one task, and where it is computed."""

    preset: str
    protocol: Protocol
    data: Prepared
    seed: int
    threads: int
    device: str
    features: str


def compute(cell: Cell) -> tuple[list[dict], list[tuple[str, np.ndarray]]]:
    """Return a row for each class of the task, and some samples of each. Generators come from the cache."""
    backend.start(cell.threads, cell.device)
    task = cell.protocol.sample_task(open_splits(cell.data.folder), cell.seed)
    train, held_out = task.train.compact(), task.test.compact()
    generators = cached(parse(cell.preset), train, cell.seed)
    generated = sample_images(generators, SAMPLES, cell.seed)
    seconds, rows, shown = sum(generator.seconds for generator in generators), [], []
    for name in train.classes:
        samples, training, reference = (
            images.x[images.y == images.classes.index(name)] for images in (generated, train, held_out)
        )
        place = f"{len(reference)} {cell.data.name} {task.test_part} images"
        measured = asdict(quality.measure(samples, training, reference, place, cell.features))
        rows.append({"preset": cell.preset, "seed": cell.seed, "class": name, "seconds": seconds, **measured})
        shown.append((name, samples[:SHOWN]))
    return rows, shown


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv)


def _parser() -> cli.Parser:
    parser = cli.Parser(
        prog=cli.prog("experiments.gans"),
        description="Train every preset on the same tasks and measure 1000 samples a class against held-out "
        "images. Generators are kept and shared with the study synthetic.",
        epilog="Times compare only if no other work runs beside: see the column of seconds.",
    )
    parser.add_argument(
        "--preset", nargs="+", default=list(presets), metavar="NAME", help=f"default: {' '.join(presets)}"
    )
    parser.add_argument(
        "--features", default=quality.FEATURES, metavar="BACKBONE", help="default: %(default)s"
    )
    task = parser.add_argument_group("tasks (protocol and seed alone decide which images)")
    cli.add_seeds(task, "3")
    cli.add_draws(task)
    cli.add_data(parser)
    cli.add_machine(parser, "1", jobs=True)
    cli.add_output(parser, "pictures")
    cli.add_common(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    for preset in args.preset:
        parse(preset)  # a misspelt name is found before anything is fetched
    seeds = args.seeds or range(SEEDS)
    check_seeds(seeds)
    data = prepare(cli.dataset(args), args.data_dir)
    usual = "testbed-test" if data.default_protocol == "testbed" else None
    protocol, machine = cli.draws(args, usual).resolve(data), cli.machine(args).resolve()
    cells = [
        Cell(preset, protocol, data, seed, machine.threads, machine.device, args.features)
        for seed in seeds
        for preset in args.preset
    ]
    rows, samples = [], {}
    for cell, (cell_rows, shown) in _computed(cells, machine):
        rows += cell_rows
        samples |= {(cell.seed, name, cell.preset): images for name, images in shown}
    rows.sort(key=lambda row: (row["seed"], row["class"], args.preset.index(row["preset"])))
    with cli.writing_results(Path(args.out), "gans") as folder:
        figures = [str(path) for path in _plot_sheets(rows, samples, folder)]
        summary = _summary(rows, args.preset)
        about = f"{data.name}, {protocol.name}: generated images against held-out ones of the class"
        KeptTable("gans", about, _columns(rows), tuple(_words(summary)), args.command).write(folder)
    if args.json:
        print(cli.as_json({"rows": rows, "summary": summary, "figures": figures}))
    else:
        print(*aligned(_columns(rows)), "", *_words(summary), f"pictures: {', '.join(figures)}", sep="\n")


def _computed(cells: list[Cell], machine: Machine):
    """Yield (cell, what `compute` returns) as the cells end, under a bar."""
    with machine.open(()) as executor:
        results = each(dict(enumerate(cells)), executor, compute)
        for i, result in tqdm(results, total=len(cells), unit="GAN", disable=None, dynamic_ncols=True):
            yield cells[i], result


def _summary(rows: list[dict], names: list[str]) -> dict:
    """Return each preset's means over all classes of all tasks: KID's is geometric."""
    means = {}
    for name in names:
        of_preset = [row for row in rows if row["preset"] == name]
        kids = np.maximum([row["kid"] for row in of_preset], 1e-6)
        means[name] = {
            "classes": len(of_preset),
            "kid": float(np.exp(np.log(kids).mean())),
            "seconds": float(np.mean([row["seconds"] for row in of_preset])),
            **{
                key: float(np.mean([row[key] for row in of_preset]))
                for key in ("coverage", "diversity", "copies")
            },
        }
    return means


def _words(summary: dict) -> list[str]:
    first = next(iter(summary))
    return [
        f"{name}: KID {mean['kid']:.3f} (geometric mean of {mean['classes']} classes; {first}'s is "
        f"{summary[first]['kid'] / mean['kid']:.2f} times that), {mean['seconds']:.0f} s a task, "
        f"copies {mean['copies']:.1f} %"
        for name, mean in summary.items()
    ]


def _columns(rows: list[dict]) -> tuple[tuple[str, ...], ...]:
    heads = ("class", "task", "preset", "s", "KID", "± ", "density", "coverage", "diversity", "copies %")
    cells = [
        (
            row["class"],
            str(row["seed"]),
            row["preset"],
            f"{row['seconds']:.0f}",
            *(f"{row[key]:.3f}" for key in ("kid", "kid_std", "density", "coverage")),
            f"{row['diversity']:.2f}",
            f"{row['copies']:.1f}",
        )
        for row in rows
    ]
    return tuple(zip(heads, *cells, strict=True))


def _plot_sheets(rows: list[dict], samples: dict, folder: Path):
    """Plot a sheet a task: its classes' samples under every preset; yield the paths."""
    for seed, group in groupby(rows, key=lambda row: row["seed"]):
        lines = [
            (
                f"{row['class']}, {row['preset']}",
                [("", image) for image in samples[seed, row["class"], row["preset"]]],
            )
            for row in group
        ]
        yield from sheet(lines, folder / f"samples-{seed}", f"Generated images, task {seed}")


if __name__ == "__main__":
    sys.exit(main())
