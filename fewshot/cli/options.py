"""The options that commands share, each written once; a command takes the groups that it reads.

Every `add_…` adds options to a parser or to a group of it; `dataset`, `draws` and `machine` return what they
say as the dataclasses of the library.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

from fewshot import backend
from fewshot.cli import types
from fewshot.cli.parser import offer
from fewshot.data import DataSpec
from fewshot.data.catalogue import datasets, default_protocols, listed
from fewshot.data.protocols import protocols
from fewshot.trials.plan import SHOTS, Draws, Machine
from fewshot.trials.trackers import trackers

Container = argparse._ActionsContainer  # a parser or a group of its options


def add_methods(parser: Container, names: Callable[[], Iterable[str]], help: str) -> None:
    """Add `--method`. names: what the shell offers; more is allowed."""
    action = parser.add_argument("--method", nargs="+", action="extend", metavar="NAME", help=help)
    offer(action, lambda **asked: names())


def add_data(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Add the options that say which images: `dataset` reads them. required: nothing is taken by default."""
    data = parser.add_argument_group("data")
    action = data.add_argument(
        "--data",
        type=types.path,
        default=None if required else "cifar10",
        required=required,
        metavar="NAME|DIR|FILE",
        help=f"{listed()}, or a directory with one folder of images per class, also below train/, val/ and "
        "test/; a table (CSV, TSV, Parquet) of paths and labels; a zip of either ({usual})",
    )
    offer(action, _datasets_and_folders)
    data.add_argument(
        "--data-dir",
        type=types.path,
        metavar="DIR",
        help="where the files of --data already are: no download",
    )
    data.add_argument(
        "--image-size", type=types.positive, metavar="PIXELS", help="size for a folder's images (default: 32)"
    )
    data.add_argument(
        "--columns",
        nargs="+",
        metavar="NAME",
        help="of a table: the columns of path, label and, if there is one, part (default: the usual names)",
    )


def _datasets_and_folders(prefix: str, **asked: object) -> list[str]:
    from argcomplete.completers import DirectoriesCompleter

    return [*(name for name in datasets if name.startswith(prefix)), *DirectoriesCompleter()(prefix)]


def dataset(args: argparse.Namespace) -> DataSpec:
    """Return which images the options of `add_data` mean."""
    return DataSpec(args.data, args.image_size, columns=tuple(args.columns or ()))


def add_seeds(parser: Container, default: str) -> None:
    """Add `--seeds`. default: what applies without it, in words."""
    parser.add_argument(
        "--seeds",
        type=types.seeds,
        metavar="N|A-B",
        help=f"how many tasks, or a range of seeds (default: {default})",
    )


def add_seed(parser: Container, decides: str) -> None:
    """Add `--seed`. decides: what depends on it."""
    parser.add_argument("--seed", type=types.seed, default=0, metavar="N", help=f"{decides} (default: 0)")


def add_draws(group: Container) -> None:
    """Add the options that say how tasks are drawn: `draws` reads them."""
    action = group.add_argument(
        "--protocol",
        metavar="NAME",
        help=f"how tasks are drawn (default: {default_protocols()}): "
        + "; ".join(f"{name}: {_phrase(protocols[name].summary)}" for name in protocols),
    )
    offer(action, lambda **asked: list(protocols))
    group.add_argument("--classes", nargs="+", metavar="NAME", help="fixed classes instead of drawn ones")
    group.add_argument(
        "--ways", type=types.positive, metavar="N", help="classes a task (default: 2; all for a folder)"
    )
    group.add_argument(
        "--shots",
        type=types.positive,
        metavar="N",
        help=f"training images a class (default: {SHOTS}; of a folder, no more than seven tenths of a class)",
    )
    group.add_argument(
        "--limit-train",
        type=types.positive,
        metavar="N",
        help="of --protocol full: train on N images in all, as many of each class",
    )
    group.add_argument(
        "--unbalanced",
        action="store_true",
        help="keep unequal numbers of held-out images a class; balanced accuracy is shown beside accuracy",
    )


def draws(args: argparse.Namespace, protocol: str | None = None) -> Draws:
    """Return how tasks are drawn. protocol: the rule, where the command line names none."""
    return Draws(
        protocol=args.protocol or protocol,
        ways=args.ways,
        shots=args.shots,
        classes=tuple(args.classes or ()),
        balanced=not args.unbalanced,
        limit_train=args.limit_train,
    )


def _phrase(summary: str) -> str:
    return summary[:1].lower() + summary[1:].rstrip(".")


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how long to train, and what is measured meanwhile."""
    training = parser.add_argument_group("training")
    training.add_argument(
        "--epochs",
        type=types.positive,
        metavar="N",
        help="passes through the training images (default: the recipe's)",
    )
    training.add_argument(
        "--updates",
        type=types.positive,
        metavar="N",
        help="gradient updates for every method, instead of epochs: equal training",
    )
    training.add_argument(
        "--curves",
        action="store_true",
        help="measure the held-out images along the training, too (20 points; nearly half more time)",
    )
    training.add_argument("--quick", action="store_true", help="a trial run: 2 seeds, 5 epochs, unless given")


def add_machine(parser: argparse.ArgumentParser, threads: str = "all cores", jobs: bool = False) -> None:
    """Add the options that say where to compute: `machine` reads them, where there are jobs.

    Parameters
    ----------
    threads : how many threads there are by default, in words.
    jobs : also worker processes, here or on a cluster.
    """
    group = parser.add_argument_group("machine")
    if jobs:
        add_jobs(group)
    group.add_argument(
        "--threads", type=types.machines, metavar="N", help=f"threads of each process (default: {threads})"
    )
    add_device(group)


def add_jobs(group: Container, cluster: bool = True) -> None:
    """Add the options that say which processes compute, here or on a `cluster`."""
    group.add_argument(
        "--jobs", type=types.machines, metavar="N", help="worker processes (default: one a core)"
    )
    if cluster:
        group.add_argument(
            "--cluster",
            type=types.cluster,
            metavar="local|tcp://HOST:PORT",
            help="compute on a Dask cluster: one of --jobs processes here, or one that runs already",
        )


def add_device(group: Container) -> None:
    """Add the option that `fewshot.backend.resolve_device` reads."""
    group.add_argument(
        "--device",
        choices=backend.DEVICES,
        default="auto",
        help="gpus: every batch divided among all of them, on JAX (default: %(default)s)",
    )


def machine(args: argparse.Namespace) -> Machine:
    """Return where to compute."""
    return Machine(args.jobs, args.threads, args.device, args.cluster)


def add_output(
    parser: argparse.ArgumentParser,
    kept: str = "records and pictures",
    out: str = "results",
    fresh: str | None = None,
    json: bool = True,
) -> argparse._ArgumentGroup:
    """Add the options that say what is written where, and return their group.

    Parameters
    ----------
    kept : what goes to the directory `--out`.
    out : the directory by default.
    fresh : what `--fresh` does, for a command that resumes.
    json : whether there is `--json`.
    """
    group = parser.add_argument_group("output")
    add_out(group, kept, out)
    if fresh:
        group.add_argument("--fresh", action="store_true", help=fresh)
    if json:
        add_json(group)
    return group


def add_out(group: Container, kept: str, default: str | None = "results", metavar: str = "DIR") -> None:
    """Add `--out`. kept: what goes there. default: None for nowhere, or what `kept` says."""
    group.add_argument(
        "--out",
        type=types.path,
        default=default,
        metavar=metavar,
        help=kept + (" (default: %(default)s)" if default else ""),
    )


def add_track(group: Container) -> None:
    """Add `--track`: where trials are shown beside the records."""
    listed = "; ".join(f"{name}: {_phrase(trackers[name].summary)}" for name in trackers)
    action = group.add_argument(
        "--track",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME[:WHERE]",
        help=f"show trials and curves there, too: {listed} (default of WHERE: a folder NAME in --out)",
    )
    offer(action, lambda **asked: list(trackers))


def add_json(group: Container) -> None:
    """Add `--json`."""
    group.add_argument("--json", action="store_true", help="print one JSON document on standard output")


def add_common(parser: argparse.ArgumentParser, cache: bool = True) -> None:
    """Add, as the last, the options that `run` acts on, whatever the command.

    cache: False for a command that keeps nothing there.
    """
    group = parser.add_argument_group("surroundings")
    group.add_argument(
        "--plugin",
        nargs="+",
        action="extend",
        metavar="FILE.py",
        help="your own networks, augmentations, recipes and scikit-learn estimators, registered as the "
        "guide on plugins shows: their names become methods",
    )
    group.add_argument(
        "--debug", action="store_true", help="show the traceback of an error, of failed trials, too"
    )
    if cache:
        group.add_argument(
            "--cache-dir",
            type=types.path,
            metavar="DIR",
            help="where prepared data and features are kept (default: ~/.cache/fewshot)",
        )
        group.add_argument(
            "--no-compile-cache",
            action="store_true",
            help="keep nothing of what JAX compiles; otherwise up to 1 GB of it are kept there, too",
        )
