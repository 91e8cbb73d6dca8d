"""How fast is the testbed? The ten-seed baseline side by side with other ways to train it, in one run.

    python -m experiments.benchmark --rounds 5

Every contender trains the same network by the same recipe on the same tasks, in a process of its own;
a first, untimed task takes compilation out of the seconds. The rounds are interleaved, so that a machine
whose speed drifts treats all alike, and the least time of each contender counts.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from experiments.benchmark.timing import interleaved
from fewshot import backend, cli
from fewshot.data import prepare
from fewshot.errors import FewshotError, UsageError, field
from fewshot.machine import cores, processor
from fewshot.registry import Registry
from fewshot.wording import plural

contenders = Registry("contender")
PARTS = {  # each a module of this folder: measure(data, rounds, device), table(measured)
    "augment": "what augmentation costs",
    "baselines": "NumPy networks beside Keras's, and SSIM beside scikit-image's",
    "full": "an epoch of a whole dataset for large networks, on the CPU or a GPU",
    "gan": "a step of the report's DCGAN beside PyTorch's",
    "promises": "whether what is promised from some photos is true of others",
    "unequal": "how classes of unequal numbers of photos are best made to count alike",
}
WARM_UP = 900  # first seed of the untimed tasks
CORES = cores()


def _plan(data, seeds, jobs, threads):
    from fewshot.learners.keras_network import KerasLearner
    from fewshot.trials.plan import Draws, Images, Machine, make_plan

    machine = Machine(jobs, threads, device="cpu")
    return make_plan({"baseline": KerasLearner()}, Images(data, data, data), Draws(), seeds, machine)


def _tasks(data, seeds):
    from fewshot.data import open_splits

    return [
        (trial.protocol.sample_task(open_splits(data.folder), trial.seed), trial.learner)
        for trial in _plan(data, seeds, 1, 1).trials
    ]


def _testbed(data, jobs, threads):
    from fewshot.trials.store import Store

    def train(seeds):
        with tempfile.TemporaryDirectory() as out, Store(out).open() as store:
            (records,) = _plan(data, seeds, jobs, threads).run(store).values()
            return [record.accuracy for record in records]

    return train


@contenders.register("testbed, a worker a core", jobs=CORES, threads=1)
def testbed_workers(data, jobs, threads):
    """The testbed as studies use it: one worker process a core, one thread each."""
    return _testbed(data, jobs, threads)


@contenders.register("testbed, all cores a trial", jobs=1, threads=CORES)
def testbed_threads(data, jobs, threads):
    """The testbed in one process with all cores as threads."""
    return _testbed(data, jobs, threads)


@contenders.register("testbed, one core", jobs=1, threads=1)
def testbed_single(data, jobs, threads):
    """The testbed in one process on one thread."""
    return _testbed(data, jobs, threads)


@contenders.register("keras fit", jobs=1, threads=CORES)
def keras_fit(data, jobs, threads):
    """Plain `keras.Model.fit`, a new model for every seed."""
    backend.start(threads, "cpu")
    import keras

    from fewshot.models import build

    def train(seeds):
        accuracies = []
        for task, learner in _tasks(data, seeds):
            recipe = learner.recipe
            keras.utils.set_random_seed(task.seed)
            model = build(learner.network, task.train.image_shape, len(task.train.classes))
            model.compile(
                keras.optimizers.SGD(
                    recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
                ),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["accuracy"],
            )
            images = task.train.x.astype("float32")
            model.fit(images, task.train.y, recipe.batch, recipe.epochs, verbose=0)
            _, accuracy = model.evaluate(task.test.x.astype("float32"), task.test.y, verbose=0)
            accuracies.append(100 * accuracy)
        return accuracies

    return train


def _pytorch(data, threads):
    import torch
    from torch import nn

    from fewshot.models.layers import MEAN, STD

    torch.set_num_threads(threads)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))

    def images(dataset):
        return (torch.from_numpy(dataset.x).permute(0, 3, 1, 2).float() / 255 - mean) / std

    def network(side, outputs):
        layers, channels = [], 3
        for filters, stride in ((16, 1), (16, 2), (32, 1), (32, 2)):
            layers += [nn.Conv2d(channels, filters, 3, stride), nn.ReLU()]
            side, channels = (side - 3) // stride + 1, filters
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(side * side * channels, outputs))

    def train(seeds):
        accuracies = []
        for task, learner in _tasks(data, seeds):
            recipe = learner.recipe
            torch.manual_seed(task.seed)
            model = network(task.train.image_shape[0], len(task.train.classes))
            optimizer = torch.optim.SGD(
                model.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay
            )
            x, y = images(task.train).contiguous(), torch.from_numpy(task.train.y)
            for _ in range(recipe.epochs):
                for index in torch.randperm(len(x)).split(recipe.batch):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(x[index]), y[index]).backward()
                    optimizer.step()
            with torch.no_grad():
                correct = model(images(task.test)).argmax(1) == torch.from_numpy(task.test.y)
            accuracies.append(100 * correct.float().mean().item())
        return accuracies

    return train


@contenders.register("pytorch", jobs=1, threads=CORES)
def pytorch(data, jobs, threads):
    """A plain PyTorch loop, all cores as threads."""
    return _pytorch(data, threads)


@contenders.register("pytorch, one core", jobs=1, threads=1)
def pytorch_single(data, jobs, threads):
    """A plain PyTorch loop on one thread."""
    return _pytorch(data, threads)


def _contend(name: str, data, seeds: range) -> dict:
    """Run one contender in this process and return what was measured."""
    import resource

    begin = time.perf_counter()
    definition = contenders[name]
    jobs, threads = definition.traits["jobs"], definition.traits["threads"]
    train = definition(data, jobs, threads)
    train(range(WARM_UP, WARM_UP + (2 * jobs if jobs > 1 else 1)))
    start = time.perf_counter()
    accuracies = train(seeds)
    end = time.perf_counter()
    if jobs > 1:  # the workers' memory is known once they have ended
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {
        "seconds": end - start,
        "startup": start - begin,
        "memory_mb": max(peaks) / unit,
        "mean": sum(accuracies) / len(accuracies),
    }


def _measure(name: str, args: argparse.Namespace) -> dict:
    """Run one contender in a process of its own."""
    seeds = f"{args.seeds.start}-{args.seeds.stop - 1}"
    command = [sys.executable, "-P", "-m", "experiments.benchmark", "--contender", name, "--seeds", seeds]
    command += ["--data", args.data] + (["--data-dir", args.data_dir] if args.data_dir else [])
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # ours, whatever is here
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=paths)
    if done.returncode:
        raise FewshotError(f"the contender '{name}' failed (see above)")
    return json.loads(done.stdout)


def _machine() -> dict:
    cpu = processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    installed = [name for name in ("keras", backend.name(), "torch", "numpy") if _has(name)]
    return {"cpu": cpu, "cores": CORES, "python": platform.python_version(), **backend.versions(*installed)}


def _has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _print(machine: dict, rows: list[dict], args: argparse.Namespace) -> None:
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(
        f"{plural(len(args.seeds), 'task')} of {args.data}; "
        f"least of {plural(args.rounds, 'interleaved round')}\n"
    )
    reference = next((row["seconds"] for row in rows if row["contender"] == "pytorch"), None)
    print(
        f"{'contender':28} {'seconds':>8} {'/ pytorch':>9} {'all rounds':>24} "
        f"{'start-up':>9} {'memory':>8} {'mean':>6}"
    )
    for row in rows:
        ratio = f"{row['seconds'] / reference:.2f}" if reference else "–"
        rounds = " ".join(f"{seconds:.1f}" for seconds in row["rounds"])
        print(
            f"{row['contender']:28} {row['seconds']:8.2f} {ratio:>9} {rounds:>24} "
            f"{row['startup']:7.1f} s {row['memory_mb']:5.0f} MB {row['mean']:6.2f}"
        )


def _run(args: argparse.Namespace) -> None:
    if args.network:
        _check_networks(args)
    data = prepare(cli.dataset(args), args.data_dir)
    if args.contender:
        print(json.dumps(_contend(args.contender, data, args.seeds)))
        return
    if args.part:
        _measure_part(args.part, data, args)
        return
    names = [name for name in contenders if _has("torch") or not name.startswith("pytorch")]
    measured = interleaved(
        {name: partial(_measure, name, args) for name in names}, args.rounds, progress=True
    )
    rows = []
    for name, rounds in measured.items():
        best = min(rounds, key=lambda row: row["seconds"])
        peak = max(row["memory_mb"] for row in rounds)
        rows.append(
            {"contender": name, **best, "memory_mb": peak, "rounds": [row["seconds"] for row in rounds]}
        )
    machine = _machine()
    if args.json:
        print(json.dumps({"machine": machine, "contenders": rows}, indent=1))
    else:
        _print(machine, rows, args)


def _check_networks(args: argparse.Namespace) -> None:
    """Raise `UsageError` for networks that are unknown, or that nothing would be measured of."""
    from fewshot.models import networks

    if args.part != "full":
        raise UsageError(f"{field('network')} is of {field('full', True)}")
    for name in args.network:
        networks.canonical(name)


def _measure_part(name: str, data, args: argparse.Namespace) -> None:
    """Measure one of `PARTS` instead of the ten-seed baseline, in this process."""
    part = importlib.import_module(f"experiments.benchmark.{name}")
    chosen = {"chosen": args.network} if args.network else {}
    measured = part.measure(data, args.rounds, backend.resolve_device(args.device), **chosen)
    machine = _machine()
    if args.json:
        print(json.dumps({"machine": machine, **measured}, indent=1))
    else:
        print(", ".join(f"{name} {value}" for name, value in machine.items()))
        print(part.table(measured))


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark's command line and return its exit code."""
    return cli.run(_run, _parser, argv, "interrupted; what is told above was measured")


def _parser() -> cli.Parser:
    parser = cli.Parser(
        prog=cli.prog("experiments.benchmark"),
        description="Train the ten-seed baseline in several ways, side by side, and compare the seconds.",
    )
    cli.add_seeds(parser, "10")
    parser.set_defaults(seeds=range(10))
    parser.add_argument(
        "--rounds", type=cli.positive, default=1, help="interleaved rounds (default: %(default)s)"
    )
    for name, measured in PARTS.items():
        parser.add_argument(
            f"--{name}", dest="part", action="store_const", const=name, help=f"measure {measured}, instead"
        )
    parser.add_argument(
        "--network",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="of --full: these networks, with their switches, instead of the reports'; each is told of as "
        "soon as it is measured",
    )
    parser.add_argument("--contender", choices=list(contenders), help="run this one only, in this process")
    cli.add_data(parser)
    cli.add_device(parser.add_argument_group("machine"))
    cli.add_json(parser.add_argument_group("output"))
    cli.add_common(parser)
    return parser
