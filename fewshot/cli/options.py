"""The command line that all studies share: its options, and errors of one line."""

import argparse
import contextlib
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fewshot import backend
from fewshot.data import Prepared, open_splits
from fewshot.data.catalogue import datasets
from fewshot.data.protocols import TUNING, Protocol, protocols
from fewshot.errors import FewshotError, UsageError, field
from fewshot.methods import plugins

SHOTS = 50  # as the few-shot report has it
HELD_OUT_SHARE = 0.3  # of the smallest class of a folder, where --shots is not given
RESUMES = "interrupted; finished trials are recorded, the same command goes on (without --fresh)"


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one line; options are written out."""

    def __init__(self, **kwargs):
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message):
        """Exit with 2 and one line."""
        self.exit(2, f"{self.prog}: error: {message} (--help tells more)\n")


def run(
    program: Callable[[argparse.Namespace], None],
    make_parser: Callable[[], Parser],
    argv: list[str] | None = None,
    interrupted: str = RESUMES,
) -> int:
    """Load plugins, parse, run and return the exit code: 0, 1 (failure), 2 (wrong usage) or 130 (Ctrl-C).

    make_parser: called when the plugins are there, so that the help tells of them, too. The arguments that
    `program` gets name the command line itself, to be copied and pasted: `args.command`.
    interrupted: what is said after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = Parser(prog=make_parser().prog, add_help=False)
    parser.add_argument("--plugin", nargs="+", action="extend", default=[])
    try:
        for file in parser.parse_known_args(argv)[0].plugin:
            plugins.load(file)
        parser = make_parser()
        args = parser.parse_args(argv)
        args.command = f"{parser.prog} {shlex.join(argv)}".rstrip()
        program(args)
    except FewshotError as error:
        print(f"{parser.prog}: error: {error.render(flag)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"\n{parser.prog}: {interrupted}", file=sys.stderr)
        return 130
    return 0


def flag(name: str, value: object = None) -> str:
    """Show a field of a message as an option: `--shots 5`, `--image-size`, `--fresh`."""
    option = "--" + name.replace("_", "-")
    return option if value is None or value is True else f"{option} {shlex.quote(str(value))}"


@contextlib.contextmanager
def writing(folder: Path):
    """Turn a failure to write pictures to `folder` into one line."""
    try:
        yield
    except OSError as error:
        raise FewshotError(
            f"cannot write the pictures to {folder} ({error.strerror}): use another {field('out')}"
        ) from error


def positive(text: str) -> int:
    """Parse a whole number above 0."""
    return _whole(text, 1, "a whole number above 0")


def seed(text: str) -> int:
    """Parse a whole number, 0 or more, that NumPy takes for a seed."""
    return _whole(text, 0, "a whole number, 0 or more, below 2³²")


def _whole(text: str, least: int, wanted: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number < 2**32:
        raise argparse.ArgumentTypeError(f"wants {wanted}. Received: '{text}'")
    return number


def seconds(text: str) -> float:
    """Parse a time: `90`, `90s`, `20m` or `1.5h`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"wants a time, such as 90s, 20m or 1h. Received: '{text}'")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"]


def cluster(text: str) -> str:
    """Parse `local` or the address of a Dask scheduler."""
    if text == "local" or re.fullmatch(r"[a-z]+://.+:\d+", text):
        return text
    raise argparse.ArgumentTypeError(
        f"wants local or an address such as tcp://10.0.0.1:8786. Received: '{text}'"
    )


def seeds(text: str) -> range:
    """Parse `10` (seeds 0 to 9) or `10-19`."""
    first, dash, last = text.partition("-")
    if dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last):
        return range(int(first), int(last) + 1)
    if text.isdecimal() and int(text) > 0:
        return range(int(text))
    raise argparse.ArgumentTypeError(
        f"wants a number of seeds above 0 (10) or a range (10-19). Received: '{text}'"
    )


def add_study_options(parser: argparse.ArgumentParser, tasks: int = 10) -> None:
    """Add the options of every study. tasks: how many there are by default."""
    task = parser.add_argument_group("tasks (protocol and seed alone decide which images)")
    task.add_argument(
        "--seeds",
        type=seeds,
        metavar="N|A-B",
        help=f"how many tasks, or a range of seeds (default: {tasks}; pairs45: 45, deic: 3)",
    )
    add_draw_options(task)
    add_data_options(parser)
    training = parser.add_argument_group("training")
    training.add_argument(
        "--epochs", type=positive, help="passes through the training images (default: the recipe's)"
    )
    training.add_argument(
        "--updates",
        type=positive,
        help="gradient updates for every method, instead of epochs: equal training",
    )
    training.add_argument(
        "--curves",
        action="store_true",
        help="measure the held-out images along the training, too (20 points; nearly half more time)",
    )
    training.add_argument("--quick", action="store_true", help="a trial run: 2 seeds, 5 epochs, unless given")
    add_plugin_option(training)
    machine = parser.add_argument_group("machine")
    add_jobs_options(machine)
    machine.add_argument(
        "--threads", type=positive, help="threads a trial (default: 1; all cores for --protocol full)"
    )
    add_device_option(machine)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out", default="results", metavar="DIR", help="records and pictures (default: %(default)s)"
    )
    output.add_argument("--fresh", action="store_true", help="compute all trials anew, also recorded ones")
    output.add_argument("--json", action="store_true", help="print one JSON document on standard output")


def add_draw_options(task: argparse._ActionsContainer) -> None:
    """Add the options that `protocol` reads."""
    task.add_argument(
        "--protocol",
        metavar="NAME",
        help="how tasks are drawn (default: testbed for cifar10, deic for cifair10, else stratified): "
        + "; ".join(f"{name}: {_phrase(protocols[name].summary)}" for name in protocols),
    )
    task.add_argument("--classes", nargs="+", metavar="NAME", help="fixed classes instead of drawn ones")
    task.add_argument("--ways", type=positive, help="classes a task (default: 2; all for a folder)")
    task.add_argument(
        "--shots",
        type=positive,
        help=f"training images a class (default: {SHOTS}; of a folder, no more than seven tenths of a class)",
    )
    task.add_argument(
        "--limit-train",
        type=positive,
        metavar="N",
        help="of --protocol full: train on N images in all, as many of each class",
    )
    task.add_argument(
        "--unbalanced",
        action="store_true",
        help="keep unequal numbers of held-out images a class; balanced accuracy is shown beside accuracy",
    )


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which images."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        default="cifar10",
        metavar="NAME|DIR",
        help="cifar10, cifar100, cifair10, digits (comes with scikit-learn: no download), or a directory "
        "with one folder of images per class, also below train/, val/ and test/ (default: %(default)s)",
    )
    data.add_argument("--data-dir", metavar="DIR", help="where the files of --data already are: no download")
    data.add_argument(
        "--image-size", type=positive, metavar="PIXELS", help="size for a folder's images (default: 32)"
    )
    data.add_argument(
        "--cache-dir", metavar="DIR", help="where prepared data are kept (default: ~/.cache/fewshot)"
    )


def add_jobs_options(machine: argparse._ActionsContainer) -> None:
    """Add the options that `fewshot.trials.cluster.executor` reads."""
    machine.add_argument("--jobs", type=positive, help="worker processes (default: one a core)")
    machine.add_argument(
        "--cluster",
        type=cluster,
        metavar="local|tcp://HOST:PORT",
        help="compute on a Dask cluster: one of --jobs processes on this machine, or one that runs already",
    )


def add_device_option(machine: argparse._ActionsContainer) -> None:
    """Add the option that `fewshot.backend.resolve_device` reads."""
    machine.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu", "gpus"),
        default="auto",
        help="gpus: every batch divided among all of them, on JAX (default: %(default)s)",
    )


def add_plugin_option(parser: argparse._ActionsContainer) -> None:
    """Add the option that `run` acts on."""
    parser.add_argument(
        "--plugin",
        nargs="+",
        metavar="FILE.py",
        help="your own networks, augmentations, recipes and scikit-learn estimators, registered as the "
        "README shows: their names become methods",
    )


def protocol(args: argparse.Namespace, data: Prepared, least: int = 2) -> Protocol:
    """Return the protocol that the options describe; `UsageError` for an unknown one or too few classes.

    least: how many classes a task must have.
    """
    name = args.protocol or data.default_protocol
    traits = protocols[name].traits
    ways = len(args.classes) if args.classes else args.ways or traits.get("ways", data.default_ways)
    if ways is not None and ways < least:
        raise UsageError("a task needs two classes or more")
    if args.limit_train and not traits.get("whole"):
        raise UsageError(
            f"{field('limit_train')} is for {field('protocol', 'full')}: "
            f"'{name}' takes {field('shots')} images a class"
        )
    classes = tuple(args.classes or ())
    shots = args.shots or _usual_shots(data)
    return Protocol(name, ways, shots, classes, not args.unbalanced, args.limit_train)


def _usual_shots(data: Prepared) -> int:
    """Return so many training images a class that of a small folder some are left to be held out."""
    if data.name in datasets:
        return SHOTS
    splits = open_splits(data.folder)
    least = int(np.bincount(splits.train.y).min())
    return min(SHOTS, least) if "test" in splits.parts else shots_of(least)


def shots_of(least: int) -> int:
    """Return so many of the smallest class's images to train on that some are left to be held out."""
    return min(SHOTS, max(1, int(least * (1 - HELD_OUT_SHARE))))


def apply_environment(args: argparse.Namespace) -> None:
    """Hand options that concern the whole process, workers included, on through the environment."""
    if args.cache_dir:
        os.environ["FEWSHOT_CACHE"] = args.cache_dir


def check_seeds_and_length(args: argparse.Namespace) -> None:
    """Raise `UsageError` for seeds that mix kinds of tasks, and where two options say how long to train."""
    if args.seeds and args.seeds.start < TUNING < args.seeds.stop:
        raise UsageError(
            f"{field('seeds')}: those from {TUNING} on draw tuning tasks, which no table mixes with others"
        )
    if args.updates and args.epochs:
        raise UsageError(
            f"{field('updates')} and {field('epochs')} exclude each other: both say how long to train"
        )


def _phrase(summary: str) -> str:
    return summary[0].lower() + summary[1:].rstrip(".")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def jobs(args: argparse.Namespace, threads: int) -> int:
    """Return how many worker processes of so many threads each; `UsageError` where they are not ours."""
    if args.jobs and args.cluster not in (None, "local"):
        raise UsageError(
            f"{field('jobs')} is for processes of this machine: {args.cluster} has its own workers"
        )
    if args.jobs:
        return args.jobs
    # Processes would share a GPU, of whose memory the first takes most.
    return max(1, cores() // threads) if backend.resolve_device(args.device) == "cpu" else 1
