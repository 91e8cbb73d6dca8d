"""What does each network cost, and which answers in time?

python -m experiments.models
python -m experiments.models --network resnet18 resnet18:plain vgg16:norm=batch --image-size 64
python -m experiments.models --image-size 224 --classes 1000 --no-time
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fewshot import backend, cli, settings
from fewshot.backbones.features import PIXELS
from fewshot.errors import NoRoom
from fewshot.machine import cores, processor
from fewshot.models import check_size, least_size, networks
from fewshot.training.recipe import Recipe
from fewshot.trials.store import read
from fewshot.wording import plural

CHANNELS = 3
LARGEST = 2**29  # values: a batch whose largest map has more would take gigabytes
COLUMNS = {
    "parameters": ("parameters", ",", 1),
    "multiply_adds": ("multiply-adds (M)", ",.1f", 1e-6),
    "activations": ("activations (M)", ",.2f", 1e-6),
    "size": ("size (MB)", ",.1f", 1e-6),
    "latency_median": ("ms an image", ",.2f", 1e3),
    "latency_p95": ("p95", ",.2f", 1e3),
    "throughput": ("images/s", ",.0f", 1),
    "accuracy": ("accuracy", ".2f", 1),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv)


def _parser() -> cli.Parser:
    width = max(map(len, networks))
    known = "\n".join(f"  {name:{width}}  {networks[name].summary}" for name in networks)
    parser = cli.Parser(
        prog=cli.prog("experiments.models"),
        description="What does each network cost, and which answers in time? Parameters, multiply-adds, "
        "activations, size on disk, and on this machine: milliseconds for one image at a time (median and "
        "95th percentile) and images a second in batches of 256.",
        epilog=f"networks:\n{known}\n\n  NAME:switch=value,…   a network with other switches: resnet18:plain",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--network", nargs="+", default=["all"], metavar="NAME", help="which networks (default: all)"
    )
    parser.add_argument(
        "--image-size", type=cli.positive, default=32, metavar="PIXELS", help="default: %(default)s"
    )
    parser.add_argument(
        "--classes", type=cli.positive, default=10, metavar="N", help="how many (default: %(default)s)"
    )
    parser.add_argument("--no-time", action="store_true", help="count only, measure nothing")
    cli.add_machine(parser)
    cli.add_output(parser, "pictures; records of studies are looked for there, too")
    cli.add_common(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    names = _names(args)
    threads, device = args.threads or cores(), backend.resolve_device(args.device)
    measured = {} if args.no_time else {"threads": threads, "device": device}
    backend.start(threads, device)
    rows = _rows(names, args)
    accuracies, conditions = _accuracies(Path(args.out) / "trials.jsonl", names)
    for row in rows:
        row["accuracy"] = accuracies.get(row["network"])
    document = {
        "study": "models",
        "image_size": args.image_size,
        "classes": args.classes,
        "machine": {
            "cpu": processor(),
            **measured,
            **backend.versions("keras", backend.name()),
        },
        "accuracy_of": conditions or None,
        "networks": rows,
    }
    with cli.writing_results(Path(args.out), "models") as folder:
        document["figures"] = [str(path) for path in _picture(rows, folder / "cost", args)]
    print(cli.as_json(document) if args.json else _text(document))


def _names(args: argparse.Namespace) -> list[str]:
    """Return the networks, checked: one that is named must take the size, `all` leaves it out."""
    shape = (args.image_size, args.image_size, CHANNELS)
    new = [name for name in networks if not networks[name].traits.get("pretrained")]
    fitting = [name for name in new if least_size(name) <= args.image_size]
    if "all" in args.network and len(fitting) < len(new):
        left_out = ", ".join(name for name in new if name not in fitting)
        print(f"left out, as they take larger images only: {left_out}", file=sys.stderr)
    names = []
    for name in args.network:
        if name != "all":
            check_size(name, shape)
        names += fitting if name == "all" else [networks.canonical(name)]
    return list(dict.fromkeys(names))


def _rows(names: list[str], args: argparse.Namespace) -> list[dict]:
    """Count all networks, then measure them one after the other."""
    from fewshot.models import build
    from fewshot.models import cost as summary

    shape = (args.image_size, args.image_size, CHANNELS)
    rows = []
    for name in names:
        cost = summary.cost(summary.outline(name, shape, args.classes))
        rows.append({"network": name, **asdict(cost)})
    for row in [] if args.no_time else rows:
        print(f"{row['network']}: {row['parameters']:,} parameters", file=sys.stderr)
        try:
            summary.check_forward(row["network"], shape, args.classes)
        except NoRoom as error:  # smaller ones may fit
            print(f"not measured: {error.render(cli.flag)}", file=sys.stderr)
            continue
        forward = backend.compile_forward(build(row["network"], shape, args.classes))
        seconds = summary.latencies(forward, shape)
        row["latency_median"], row["latency_p95"] = (float(np.quantile(seconds, q)) for q in (0.5, 0.95))
        fits = summary.BATCH * row["largest"] <= LARGEST
        row["throughput"] = summary.throughput(forward, shape) if fits else None
        del forward
        gc.collect()  # a network and its graph hold each other
    return rows


def _accuracies(path: Path, names: list[str]) -> tuple[dict[str, float], str]:
    """Return mean accuracies, and in words of what: the most networks that were measured alike.

    Alike is: on the same tasks, by the same recipe. Everything else would compare apples with pears.
    """
    groups = defaultdict(lambda: defaultdict(dict))  # conditions → network → seed → accuracy
    for record in read(path)[0].values():
        learner = record.learner
        on_images = learner.get("features", PIXELS) == PIXELS  # a head's accuracy is not the network's own
        if record.ok and learner.get("network") in names and on_images:
            rest = {key: value for key, value in learner.items() if key not in ("network", "versions")}
            conditions = json.dumps([record.protocol, rest, record.threads], sort_keys=True)
            groups[conditions][learner["network"]][record.seed] = record.accuracy
    alike = defaultdict(dict)
    for conditions, by_network in groups.items():
        for network, by_seed in by_network.items():
            alike[conditions, tuple(sorted(by_seed))][network] = float(np.mean(list(by_seed.values())))
    if not alike:
        return {}, ""
    conditions, seeds = max(alike, key=lambda key: (len(alike[key]), len(key[1])))
    protocol, learner, _ = json.loads(conditions)
    usual = asdict(Recipe())
    changed = {key: value for key, value in learner["recipe"].items() if value != usual.get(key)}
    words = f"{protocol['data']}, {protocol['name']}, n = {len(seeds)}, {settings.join('recipe', changed)}"
    if learner.get("offline", "none") != "none":
        words += f", {learner['offline']}"
    return alike[conditions, seeds], words


def _picture(rows: list[dict], stem: Path, args: argparse.Namespace) -> list[Path]:
    """Draw accuracy, where there is any, or parameters against latency or, where none was measured, work."""
    from fewshot.report.plots.scatter import scatter

    timed = [row for row in rows if row.get("latency_median")]
    x, rows = ("latency_median", timed) if timed else ("multiply_adds", rows)
    y = "accuracy" if any(row["accuracy"] is not None for row in rows) else "parameters"
    axes = {
        "multiply_adds": "multiply-adds, millions",
        "latency_median": "milliseconds an image, one at a time (median)",
        "accuracy": "accuracy (%)",
        "parameters": "trainable parameters, millions",
    }
    scale = {"multiply_adds": 1e-6, "latency_median": 1e3, "accuracy": 1, "parameters": 1e-6}
    points = {row["network"]: (scale[x] * row[x], scale[y] * row[y]) for row in rows if row[y] is not None}
    title = f"What networks cost at {args.image_size}×{args.image_size}, {args.classes} classes"
    return scatter(points, stem, (axes[x], axes[y]), title, log=(True, y == "parameters"))


def _text(document: Mapping) -> str:
    from fewshot.report.table import aligned

    rows = document["networks"]
    shown = {key: spec for key, spec in COLUMNS.items() if any(row.get(key) is not None for row in rows)}
    columns = [["network", *(row["network"] for row in rows)]]
    for key, (heading, form, unit) in shown.items():
        values = (row.get(key) for row in rows)
        columns.append([heading, *("–" if value is None else f"{value * unit:{form}}" for value in values)])
    lines = aligned(columns)
    size, machine = document["image_size"], document["machine"]
    lines += ["", f"images of {size}×{size}, {document['classes']} classes; size: float32 weights"]
    if "threads" in machine:
        lines[-1] += f"; measured with {plural(machine['threads'], 'thread')} on the {machine['device']}"
    if document["accuracy_of"]:
        lines.append(f"accuracy: {document['accuracy_of']}")
    return "\n".join([*lines, f"pictures: {', '.join(document['figures'])}"])


if __name__ == "__main__":
    sys.exit(main())
