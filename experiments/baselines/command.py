"""The baselines report's tables, measured right: all of CIFAR-10, its whole test set.

python -m experiments.baselines --method nc knn-l2-zscore knn-l2-minmax
python -m experiments.baselines --method all
python -m experiments.baselines --data digits --limit-train 500 --limit-test 200 --epochs 1

The same learners on tasks of 100 images: experiments.baselines_few_shot.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from experiments.baselines.jobs import VERSION, Bench, Centres, Job, Network, Search, in_turn
from experiments.baselines.parts import PartRecord
from experiments.baselines.table import Row, columns, legend, rows, text
from fewshot import backend, cli
from fewshot.data import Prepared, open_splits, prepare, verify
from fewshot.data.protocols import Protocol
from fewshot.errors import UsageError, unknown
from fewshot.io.digests import key_of
from fewshot.machine import cores
from fewshot.report.kept_table import KeptTable
from fewshot.training.recipe import Recipe
from fewshot.trials.store import Store
from fewshot.wording import one_line, plural

DISTANCES = {"l2": 1, "cosine": 1, "l1": 2, "ssim": 20}  # and minutes of a search on two cores
KINDS = ("scalar", "channel", "pixel")  # of z-score
GROUPS = {
    "nc": "the nearest class mean: L1, L2, cosine, SSIM × z-score, min-max",
    "knn": "the nearest training images: the same, × k",
    "fc": "fully connected networks in NumPy: 3 or 5 layers × initialisation × learning rate; dropout; folds",
    "conv": "convolutional networks in NumPy",
}
DROPOUT = "fc3:dropout=0.2"  # the report does not say how much


def jobs(zscore: str = "scalar", most: int = 3, count: int = 5, length: int | None = None) -> list[Job]:
    """Return all jobs, in the order of the table.

    zscore: its kind. most: the largest k. count: of folds. length: epochs of every network, or its own.
    """
    scales = {"zscore": f"zscore-{zscore}", "minmax": "minmax"}
    spec = "distance={},scale={}"
    listed: list[Job] = []
    for distance, minutes in DISTANCES.items():
        for name, scale in scales.items():
            estimator = "knn:" + spec.format(distance, scale)
            listed.append(Search(f"knn-{distance}-{name}", "knn", minutes, estimator, most))
    for distance in DISTANCES:
        for name, scale in scales.items():
            estimator = "nearest-centroid:" + spec.format(distance, scale)
            listed.append(Centres(f"nc-{distance}-{name}", "nc", 0.5, estimator))

    def network(group, name, spec, minutes, epochs, rate, folds=0):
        """Add a network; minutes: of one epoch."""
        recipe = Recipe(learning_rate=rate, epochs=length or epochs)
        listed.append(Network(name, group, minutes * epochs, f"numpy-{spec}", recipe, folds))

    for layers, minutes in (3, 0.2), (5, 0.5):
        for init in ("xavier", "he"):
            for rate in (0.001, 0.01):
                network("fc", f"fc{layers}-{init}-{rate}", f"fc{layers}:init={init}", minutes, 10, rate)
    network("fc", "fc3-dropout-0.01", DROPOUT, 0.2, 10, 0.01)
    network("fc", "fc3-dropout-30", DROPOUT, 0.2, 30, 0.001)  # the report's rate, unless a row says otherwise
    network("fc", "fc3-dropout-100", DROPOUT, 0.2, 100, 0.001)
    network("fc", "fc3-dropout-30-folds", DROPOUT, 0.8, 30, 0.001, count)
    network("conv", "conv-16-16", "conv16", 1, 5, 0.01)
    network("conv", "conv-32-32", "conv32", 2, 5, 0.01)
    network("conv", "conv-32-32-64-64", "conv4", 8, 2, 0.01)
    return listed


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, parser, argv)


def parser() -> cli.Parser:
    """Return the parser."""
    known = "\n".join(f"  {name:5} {what}" for name, what in GROUPS.items())
    names = ", ".join(job.name for job in jobs())
    parser = cli.Parser(
        prog=cli.prog("experiments.baselines"),
        usage="%(prog)s [--method NAME …] [options]",
        description="The baselines report's tables on whole training and test sets, beside what it reported: "
        "accuracy, macro precision, recall and F1, seconds, confusion matrices, loss curves.",
        epilog=f"groups:\n{known}\n\nmethods:\n  {names}\n\nThe cheapest run first. "
        "The same command again resumes where it stopped.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cli.add_methods(
        parser,
        lambda: ["all", *GROUPS, *(job.name for job in jobs())],
        "groups or single methods (default: all; about three hours on two cores)",
    )
    parser.add_argument(
        "--k", nargs="+", type=cli.positive, default=[1, 3], metavar="K", help="neighbours (default: 1 3)"
    )
    parser.add_argument(
        "--zscore",
        choices=KINDS,
        default="scalar",
        help="one mean and variance for all pixels, a colour channel or a pixel, of the training images "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--folds", type=cli.positive, default=5, metavar="N", help="of the cross-validation (default: 5)"
    )
    parser.add_argument(
        "--epochs", type=cli.positive, metavar="N", help="of every network (default: 2 to 100)"
    )
    cli.add_data(parser)
    for part in ("train", "test"):
        parser.add_argument(
            f"--limit-{part}",
            type=cli.positive,
            metavar="N",
            help=f"only so many {part} images, the first of all classes in turn",
        )
    cli.add_machine(parser)
    cli.add_output(parser, fresh="compute all anew, also what is recorded")
    cli.add_common(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    asked = _asked(args)
    data = prepare(cli.dataset(args), args.data_dir)
    if data.notes:
        print(*data.notes, sep="\n", file=sys.stderr)
    verify(data)
    bench = _bench(data, args)
    for job in asked:
        job.check(bench)
    threads, device = args.threads or cores(), backend.resolve_device(args.device)
    machine = {"threads": threads, "device": device}
    limits = {"train": args.limit_train, "test": args.limit_test}
    images = {"data": data.name, "content": data.fingerprint, "limits": limits, "seed": bench.seed}
    folder = Path(args.out) / "baselines"
    print(
        f"{data.name}: {len(bench.train):,} training and {len(bench.test):,} test images; "
        f"{plural(len(asked), 'method')}, {plural(threads, 'thread')}; records in {folder}",
        file=sys.stderr,
    )
    measured: list[Row] = []
    with Store(folder, PartRecord).open() as store:
        done = {}
        for number, job in enumerate(sorted(asked, key=lambda job: job.minutes), 1):
            title = f"[{number}/{len(asked)}] {job.name}"
            done[job.name] = _measure(job, bench, images, machine, store, args.fresh, title)
        for job in asked:
            measured += rows(job, bench, done[job.name], args.k)
    document = {
        "study": "baselines",
        "data": {**images, "train": len(bench.train), "test": len(bench.test)},
        "classes": list(bench.test.classes),
        "zscore": args.zscore,
        "machine": machine,
        "rows": [row.document() for row in measured],
        "records": str(folder / "trials.jsonl"),
    }
    from experiments.baselines.pictures import plot_rows

    with cli.writing_results(Path(args.out), "baselines"):
        document["figures"] = plot_rows(measured, folder, bench.test.classes, data.name)
        table = tuple(map(tuple, columns(measured, document)))
        about = f"{data.name}: {len(bench.train):,} training and {len(bench.test):,} test images"
        KeptTable("baselines", about, table, tuple(legend(measured, document)), args.command).write(folder)
    print(cli.as_json(document) if args.json else text(measured, document))


def _asked(args: argparse.Namespace) -> list[Job]:
    """Return the jobs that the command line names, in the table's order; `UsageError` for unknown ones."""
    known = jobs(args.zscore, max(args.k), args.folds, args.epochs)
    names = args.method or ["all"]
    for name in names:
        if name not in ("all", *GROUPS, *(job.name for job in known)):
            raise unknown("method", name, ["all", *GROUPS, *(job.name for job in known)])
    return [job for job in known if {"all", job.group, job.name} & set(names)]


def _bench(data: Prepared, args: argparse.Namespace) -> Bench:
    """Return the images: those of the protocol `full`, in dataset order, as many as asked for."""
    task = Protocol("full", None, balanced=False).sample_task(open_splits(data.folder), seed := 0)
    parts = []
    for part, index, limit in (
        (task.train, task.train_index, args.limit_train),
        (task.test, task.test_index, args.limit_test),
    ):
        order = np.argsort(index)
        parts.append(part.take(order[in_turn(part.y[order], limit)]))
    return Bench(*parts, seed)


def _measure(
    job: Job, bench: Bench, images: dict, machine: dict, store: Store[PartRecord], fresh: bool, title: str
) -> list[tuple[PartRecord, dict[str, np.ndarray]]]:
    """Return the record and the arrays of every part of a job; what the store lacks is computed and kept."""
    if not job.compiles():
        machine = machine | {"device": "cpu"}
    identity = {"job": job.describe(), "version": VERSION, **images, **machine}
    keys = [key_of(identity | {"part": part}) for part in range(job.parts(bench))]
    missing = [part for part, key in enumerate(keys) if fresh or not _complete(store, key)]
    if missing:
        for part, measured, arrays in _computed(job, bench, missing, machine, title):
            values = {"key": keys[part], "method": job.name, "part": part, "status": "ok", **measured}
            store.add(PartRecord(identity=identity, **values), arrays)
    else:
        print(f"{title}: in the records already", file=sys.stderr)
    return [(store.get(key), store.arrays(key) or {}) for key in keys]


def _computed(job: Job, bench: Bench, missing: Sequence[int], machine: dict, title: str) -> Iterator:
    """Yield the missing parts under a bar with the time left."""
    from tqdm import tqdm

    if job.compiles():
        backend.start(machine["threads"], machine["device"])
    work, unit = job.work(bench)
    bar = tqdm(
        desc=title,
        total=work * len(missing),
        unit=unit,
        unit_scale=work > 10**5,
        disable=None,
        dynamic_ncols=True,
    )
    try:
        with bar, threadpool_limits(machine["threads"]):
            yield from job.compute(bench, missing, bar.update)
    except ValueError as error:  # scikit-learn looks at numbers and parameters as it begins to fit
        raise UsageError(f"{job.name} cannot be measured on these images: {one_line(error)}") from error


def _complete(store: Store[PartRecord], key: str) -> bool:
    """Return whether a part is recorded, with its answers where it succeeded."""
    record = store.get(key)
    return record is not None and (not record.ok or store.arrays(key) is not None)
