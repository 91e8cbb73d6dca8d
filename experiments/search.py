"""How the recipe `best` was found: candidates compared on tuning tasks, a round after the other.

python -m experiments.search --round 2

A round changes one thing at a time in what the rounds before have found. The tuning tasks (seeds from 1000
on) share no image with those that are reported. What every round gave and what was made of it stands in
docs/results/search.md.
"""

from __future__ import annotations

import sys

from experiments.cnn import STUDY
from fewshot import cli
from fewshot.data.protocols import TUNING

R1 = "schedule=one-cycle,online=strong,epochs=200"
R2 = "compact:schedule=one-cycle,learning_rate=0.1,label_smoothing=0.1,tta_flip"
CUTMIX = "online=flip+shift-crop+color-jitter+cutmix"
ROUNDS = {
    1: (
        "Which network, which batch, how large a learning rate?",
        [
            f"width-48:{R1},learning_rate=0.05",
            f"width-48:{R1},learning_rate=0.05,batch=25",
            f"compact:{R1},learning_rate=0.05,batch=50",
            f"compact:{R1},learning_rate=0.05,batch=25",
            f"compact:{R1},learning_rate=0.02,batch=25",
            f"compact:{R1},learning_rate=0.1,batch=50",
            f"compact:{R1},learning_rate=0.1,batch=100",
            f"compact:{R1},learning_rate=0.05,batch=50,weight_decay=0.005",
            f"compact:{R1},learning_rate=0.05,batch=50,label_smoothing=0.1",
            f"compact:{R1},learning_rate=0.05,batch=50,pool=both",
            f"compact:{R1},learning_rate=0.05,batch=50,blocks=2,width=20",
        ],
    ),
    2: (
        "Which augmentation? More decay? Longer?",
        [
            f"{R2},online=strong,epochs=200",
            f"{R2},online=strong,epochs=200,weight_decay=0.005",
            f"{R2},online=flip+shift-crop+randaugment+cutout+mixup,epochs=200",
            f"{R2},online=flip+shift-crop+rotation+color-jitter+cutout+mixup,epochs=200",
            f"{R2},online=flip+shift-crop+color-jitter,epochs=200",
            f"{R2},{CUTMIX},epochs=200",
            f"{R2},online=strong,epochs=400",
        ],
    ),
    3: (
        "Cutmix, wider, or two networks, at the same cost?",
        [
            f"{R2},{CUTMIX},epochs=400",
            f"{R2},online=strong,epochs=400",
            f"{R2},{CUTMIX}+mixup,epochs=400",
            f"{R2},online=flip+shift-crop+color-jitter+cutout+cutmix,epochs=400",
            f"{R2},{CUTMIX},epochs=200,width=32",
            f"{R2},{CUTMIX},epochs=400,weight_decay=0.002",
            f"{R2},{CUTMIX},epochs=200,ensemble_size=2",
        ],
    ),
    4: (
        "Longer, averaged weights, or several long networks?",
        ["best", "best:ema=0.99", "best:epochs=800", "best:ensemble_size=3", "best:width=32,epochs=800"],
    ),
}


def parser() -> cli.Parser:
    """Return the parser; the options of the study of small CNNs are handed on to it."""
    parser = cli.Parser(
        prog=cli.prog("experiments.search"),
        description=(__doc__ or "\n\n\n\n").split("\n\n")[2],
        epilog="All options of the study cnn are understood, too: --data, --jobs, --plugin, --json, …",
    )
    parser.add_argument("--round", type=int, choices=ROUNDS, default=max(ROUNDS), help="default: the last")
    parser.add_argument("--tasks", type=cli.positive, default=6, help="tuning tasks (default: %(default)s)")
    cli.add_out(parser, "records and pictures", "results/search")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a round and return the exit code."""
    options = parser()
    cli.complete(options)
    with cli.readable():
        args, others = options.parse_known_args(argv)
        question, candidates = ROUNDS[args.round]
        print(f"round {args.round}: {question}", file=sys.stderr)
        seeds = f"{TUNING}-{TUNING + args.tasks - 1}"
        return STUDY.main([*others, "--seeds", seeds, "--out", args.out, "--method", *candidates])


if __name__ == "__main__":
    sys.exit(main())
