"""From a folder of photos to an answer: every strategy that fits, on the same draws, within a budget of time.

python -m experiments.compare --data path/to/photos --budget 10m
python -m experiments.compare --data cifar10 --budget 30m
"""

import argparse
import functools
import json
import sys

from fewshot import cli
from fewshot.compare.board import Board
from fewshot.compare.clock import check_budget
from fewshot.compare.run import compare
from fewshot.compare.strategies import strategies, usual_methods
from fewshot.methods.catalogue import methods
from fewshot.trials.plan import load_images


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv)


def _parser() -> cli.Parser:
    listed = "\n".join(f"  {method.name:14} {method.specification}" for method in usual_methods())
    parser = cli.Parser(
        prog=cli.prog("experiments.compare"),
        usage="%(prog)s --data DIR [--budget 20m] [options]",
        description="Which strategy is best for your images? Runs those that fit into the budget, cheapest "
        "first, on the same repeated draws; stops the hopeless ones; says what to use, how sure that is, "
        "what more images would bring, which labels look wrong; saves the winner, trained on all images.",
        epilog=f"strategies:\n{listed}\nDraws alternate: odd ones choose the winner, even ones give its "
        "accuracy.\nThe same command again resumes where it stopped.",
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
    cli.add_draws(parser.add_argument_group("draws"))
    cli.add_data(parser)
    cli.add_machine(parser, "1; all cores for --protocol full", jobs=True)
    output = cli.add_output(parser, "records, pictures and the winner")
    output.add_argument("--no-export", action="store_true", help="do not train and save the winner")
    cli.add_common(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    check_budget(args.budget)
    findings = compare(
        functools.partial(load_images, cli.dataset(args), args.data_dir),
        strategies(args.method),
        args.budget,
        cli.draws(args),
        cli.machine(args),
        args.out,
        export=not args.no_export,
        progress=Board(cli.flag),
        command=args.command,
    )
    print(json.dumps(findings.document(), indent=1) if args.json else findings.text())


if __name__ == "__main__":
    sys.exit(main())
