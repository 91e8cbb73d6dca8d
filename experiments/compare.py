"""From a folder of photos to an answer: every strategy that fits, on the same draws, within a budget of time.

python -m experiments.compare --data path/to/photos --budget 10m
python -m experiments.compare --data cifar10 --budget 30m
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from fewshot import backend
from fewshot.cli import options as cli
from fewshot.compare.board import Board
from fewshot.compare.findings import Findings
from fewshot.compare.tournament import SLACK, Clock, Comparison, hard_images, pool
from fewshot.data import DataSpec, Prepared, duplicates, open_splits, prepare
from fewshot.data.catalogue import IMAGE_SIZE, datasets
from fewshot.data.folder import short_side
from fewshot.data.protocols import Protocol
from fewshot.errors import FewshotError, UsageError
from fewshot.methods.grammar import learner
from fewshot.stats import selection
from fewshot.trials.store import Store
from fewshot.trials.testbed import Processes, Trial, run

# Cheapest first; a cost is the seconds of one trial on one core, as a guess before the first is measured.
STRATEGIES = {
    "lite": ("imagenet/efficientnet-lite0@160:head=logistic", 2),
    "lite-ridge": ("imagenet/efficientnet-lite0@160:head=ridge", 2),
    "two-backbones": ("imagenet/efficientnet-lite0@224+resnet50@160:head=ridge", 8),
    "ridge": ("ridge", 1),
    "k-nn": ("knn:k=3,distance=cosine,scale=zscore-scalar", 1),
    "baseline": ("baseline", 3),
    "patches": ("patches", 3),
    "strong": ("baseline:policy=strong,epochs=500", 10),
    "lite-tuned": ("tuned:size=96,recipe=report,epochs=20,batch=10,learning_rate=0.001", 30),
    "best": ("compact:recipe=best", 80),
    "synthetic": ("baseline:synthetic=1000,keep=agree,epochs=30", 150),
}
PHOTO_SIZE = 224  # pixels of a folder's images, for backbones; networks from scratch see fewer
MOST_DRAWS = 40
SHOTS = (5, 10, 20, 50, 100, 200)
CURVE = 0.85  # the share of the budget after which the curve of shots ends
CURVE_DRAWS = 4
LEAST_BUDGET = 60.0


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv)


def _parser() -> cli.Parser:
    listed = "\n".join(f"  {name:14} {spec}" for name, (spec, _) in STRATEGIES.items())
    parser = cli.Parser(
        prog="python -m experiments.compare",
        usage="%(prog)s --data DIR [--budget 20m] [options]",
        description="Which strategy is best for your images? Runs those that fit into the budget, cheapest "
        "first, on the same repeated draws; stops the hopeless ones; says what to use, how sure that is, "
        "what more images would bring, which labels look wrong; saves the winner, trained on all images.",
        epilog=f"strategies:\n{listed}\nDraws alternate: odd ones choose the winner, even ones give its "
        "accuracy.\nThe same command again goes on where it stopped.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--budget",
        type=cli.seconds,
        default=cli.seconds("20m"),
        metavar="TIME",
        help="90s, 20m, 1h: all of it, export included (default: 20m)",
    )
    parser.add_argument(
        "--method",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="only these, strategies or what is registered: NETWORK:switches, ridge, flip, online:strong, …",
    )
    task = parser.add_argument_group("draws")
    cli.add_draw_options(task)
    cli.add_data_options(parser)
    machine = parser.add_argument_group("machine")
    machine.add_argument("--jobs", type=cli.positive, help="worker processes (default: one a core)")
    cli.add_device_option(machine)
    cli.add_plugin_option(machine)
    output = parser.add_argument_group("output")
    output.add_argument("--out", default="results", metavar="DIR", help="default: %(default)s")
    output.add_argument("--no-export", action="store_true", help="do not train and save the winner")
    output.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    return parser


def _run(args: argparse.Namespace) -> None:
    clock = Clock(args.budget, time.monotonic())
    if args.budget < LEAST_BUDGET:
        raise UsageError(
            f"a budget of {args.budget:.0f} s is too short for anything: 60s are the least, 10m do more"
        )
    strategies = {name: STRATEGIES.get(name, (name, 10.0)) for name in args.method or STRATEGIES}
    learners = {name: learner(spec, {}) for name, (spec, _) in strategies.items()}
    cli.apply_environment(args)
    small, large = _prepared(args)
    protocol, repeated = _draws(args, small)
    device = backend.resolve_device(args.device)
    jobs = args.jobs or cli.cores()

    def trial_of(name: str, seed: int, shots: int | None = None) -> Trial:
        drawn = protocol if shots is None else replace(protocol, shots=shots)
        return Trial(
            name,
            learners[name],
            drawn,
            large if _pretrained(strategies[name][0]) else small,
            seed,
            device=device,
        )

    drawn_from = pool(protocol, open_splits(small.folder))
    comparison = Comparison(strategies, trial_of, jobs, clock, drawn_from)
    if not comparison.active:
        gone = args.budget - clock.left()
        again = f"; {gone:.0f} s went into reading the images, which are kept: try again" if gone > 10 else ""
        raise UsageError(
            f"a budget of {args.budget:.0f} s is too short for five draws of any strategy: "
            f"the cheapest takes about {comparison.least():.0f} s in all{again}"
        )
    out = Path(args.out)
    folder = out / "compare"
    _say(args, small, protocol, comparison, strategies, repeated)
    with Store(out).open() as store:
        with Board(comparison) as board:
            for number in range(MOST_DRAWS):
                if not comparison.draw(number, store, board.trial):
                    break
                board.drawn()
            table = comparison.standings()
            if not table:
                raise FewshotError(f"no trial succeeded ({comparison.failure()}): add another --method")
            winner = table[0].method
            points = _curve(winner, comparison, trial_of, store, jobs, clock, board.trial)
        hard = hard_images(comparison.records, store)
    found = Findings(comparison, table, points, hard, repeated, small, protocol, store)
    document = found.document() | {"command": args.command}
    if not args.no_export:
        model = _export(found, learners, trial_of, folder / "model.keras", args.command)
        document |= {"model": model} if model else {}
    with cli.writing(folder):
        document["figures"] = found.draw(folder, open_splits(large.folder))
        (folder / "comparison.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    print(json.dumps(document, indent=1) if args.json else found.text(document))


def _export(found: Findings, learners, trial_of, path: Path, command: str) -> dict | None:
    """Train the best method that can be saved on all images; return where the model and its card are.

    Its temperature is fitted to the held-out predictions of the draws. None, and a line that says why, where
    no model can be saved.
    """
    if found.protocol.ways is not None or found.protocol.classes:
        print("no model is saved: these draws take some classes of the data only", file=sys.stderr)
        return None
    threads, device = backend.started() or (cli.cores(), trial_of(found.winner, 0).device)
    backend.start(threads, device)
    from fewshot.deploy.export import export

    for row in found.table:
        trial = trial_of(row.method, 0)
        card = {
            "method": row.method,
            "protocol": found.protocol.describe(),
            "expected": asdict(row.accuracy),
            "temperature": found.temperature(row.method),
            "data": found.data.name,
            "fingerprint": trial.data.fingerprint,
            "command": command,
        }
        images = open_splits(trial.data.folder).whole()
        try:
            export(learners[row.method], images, 0, path, card)
        except UsageError as error:
            print(f"{row.method} is not saved: {error.render(cli.flag)}", file=sys.stderr)
            continue
        return {"method": row.method, "path": str(path), "card": str(path.with_suffix(".json"))}
    print("none of the methods can be saved as a model: add one that can, such as lite", file=sys.stderr)
    return None


def _prepared(args: argparse.Namespace) -> tuple[Prepared, Prepared]:
    """Return the images for networks from scratch and for backbones: of a folder, in two sizes.

    Draws depend on labels and seeds alone, so they are the same in both. Thousands of tiny images are not
    blown up on disk: a backbone enlarges them itself.
    """
    small = prepare(DataSpec(args.data, args.image_size), args.data_dir)
    if args.data in datasets:
        return small, small
    least = args.image_size or IMAGE_SIZE
    size = max(least, min(PHOTO_SIZE, short_side(Path(args.data).expanduser())))
    return small, prepare(DataSpec(args.data, size), args.data_dir) if size > least else small


def _draws(args: argparse.Namespace, data: Prepared) -> tuple[Protocol, list[np.ndarray]]:
    """Return how draws are made, and the groups of near-duplicates that they keep on one side.

    Of a folder: near-duplicates apart, and so many shots that some scenes of each class are left.
    """
    train = open_splits(data.folder).train
    if args.data not in datasets and args.protocol is None:
        args.protocol = "distinct"
    scenes = duplicates.groups(train) if args.protocol == "distinct" else np.arange(len(train))
    if args.shots is None:
        least = min(len(np.unique(scenes[train.y == label])) for label in np.unique(train.y))
        args.shots = cli.SHOTS if args.data in datasets else cli.shots_of(least)
    return cli.protocol(args, data), duplicates.repeated(scenes)


def _pretrained(spec: str) -> bool:
    return spec.startswith(("imagenet/", "tuned"))


def _say(args, data: Prepared, protocol: Protocol, comparison: Comparison, strategies, repeated) -> None:
    """Say what is compared, what does not fit into the budget, and which images repeat."""
    left_out = [name for name in strategies if name not in comparison.active]
    lines = [
        f"{data.name}: {len(data.classes)} classes, {protocol.shots} training images each ({protocol.name})",
        f"strategies: {', '.join(comparison.active)}",
    ]
    if left_out:
        lines.append(
            f"not within {args.budget / 60:.0f} minutes: {', '.join(left_out)} (ask for a longer --budget)"
        )
    if repeated:
        count = sum(map(len, repeated))
        lines.append(f"{count} images are near-duplicates, in {len(repeated)} groups: kept on one side")
    print(*lines, sep="\n", file=sys.stderr)


def _curve(
    winner: str, comparison: Comparison, trial_of, store: Store, jobs: int, clock: Clock, show
) -> dict[int, list]:
    """Return the winner's accuracies with fewer images, shots → one a draw, as far as time allows."""
    most = trial_of(winner, 0).protocol.shots
    points = {most: list(selection.reporting(comparison.scores[winner]).values())}
    cost = comparison.costs[winner] * CURVE_DRAWS / jobs
    for shots in (n for n in SHOTS if n < most):
        if cost * SLACK < clock.left(CURVE):
            trials = [trial_of(winner, draw, shots) for draw in range(1, 2 * CURVE_DRAWS, 2)]
            records = run(trials, store, Processes(jobs), show)
            points[shots] = [record.accuracy for record in records if record.ok]
    return {shots: found for shots, found in sorted(points.items()) if found}


if __name__ == "__main__":
    sys.exit(main())
