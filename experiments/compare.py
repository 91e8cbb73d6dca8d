"""From a folder of photos to an answer: strategies on the same draws, within a budget of time.

python -m experiments.compare --data path/to/photos --budget 10m
python -m experiments.compare --data cifar10 --budget 30m
"""

from __future__ import annotations

import argparse
import functools
import sys
from dataclasses import replace

from fewshot import cli
from fewshot.compare.board import Board
from fewshot.compare.clock import check_budget
from fewshot.compare.run import compare
from fewshot.compare.strategies import not_fetched, strategies, usual_methods
from fewshot.data.dataset import PRIORS
from fewshot.methods.catalogue import methods
from fewshot.trials.plan import load_images
from fewshot.trials.trackers import names as trackers

FORMATS = ("keras", "saved_model", "tflite", "onnx")


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv)


def _parser() -> cli.Parser:
    listed = "\n".join(f"  {method.name:14} {method.summary}" for method in usual_methods())
    parser = cli.Parser(
        prog=cli.prog("experiments.compare"),
        usage="%(prog)s --data DIR [--budget 20m] [options]",
        description="Which strategy is best for your photos, and how many of 100 new ones will it get right? "
        "First heads on frozen features, then fine-tuning, then training from scratch, as far as the budget "
        "goes; every photo is held out in turn. Says what more photos would bring and which labels look "
        "wrong; saves the winner, trained on all photos.",
        epilog=f"strategies:\n{listed}\nA longer budget only adds to what a shorter one finds out.\n"
        "The same command again resumes where it stopped.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--budget",
        type=cli.seconds,
        default=cli.seconds("20m"),
        metavar="TIME",
        help="90s, 20m, 1h: all of it, export included (default: 20m)",
    )
    cli.add_methods(
        parser,
        lambda: methods,
        "only these, strategies or what is registered: NETWORK:switches, ridge, flip, online:strong, …",
    )
    draws = parser.add_argument_group("draws")
    cli.add_draws(draws)
    draws.add_argument(
        "--prior",
        choices=PRIORS,
        help="what classes with unequal numbers of images count in training and in the answer: alike, or "
        "natural, as often as they come (default: alike, but for --protocol full of a dataset with a name)",
    )
    cli.add_data(parser, required=True)
    cli.add_machine(parser, "1; all cores for --protocol full", jobs=True)
    output = cli.add_output(parser, "records, pictures and the winner")
    cli.add_track(output)
    output.add_argument("--no-export", action="store_true", help="do not train and save the winner")
    output.add_argument(
        "--format",
        nargs="+",
        choices=FORMATS,
        default=["keras"],
        help="of the model (default: keras; the others need TensorFlow, onnx the extra 'export')",
    )
    cli.add_common(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    check_budget(args.budget)
    findings = compare(
        functools.partial(load_images, cli.dataset(args), args.data_dir),
        strategies(args.method),
        args.budget,
        replace(cli.draws(args), prior=args.prior),
        cli.machine(args),
        args.out,
        export=not args.no_export,
        formats=args.format,
        progress=Board(cli.flag),
        command=args.command,
        notes=() if args.method else not_fetched(),
        track=trackers(args.track),
    )
    print(cli.as_json(findings.document()) if args.json else findings.text(cli.flag))


if __name__ == "__main__":
    sys.exit(main())
