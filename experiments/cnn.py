"""Which small CNN, trained how, is best when there are 100 images?

python -m experiments.cnn --method bn bn-5x5 best
python -m experiments.cnn --method bn:norm=group baseline:width=32,weight_decay=0.005
python -m experiments.cnn --method bn-5x5 --tune learning_rate 0.1 0.01 0.008 0.001
"""

import argparse
import sys

from experiments.study import QUICK_SEEDS, Report, Study, listed
from fewshot import settings
from fewshot.cli.options import Parser
from fewshot.data.protocols import TUNING
from fewshot.errors import UsageError

TUNING_TASKS = 20
METHODS = {
    "baseline": ("baseline", "the few-shot report's testbed network"),
    "bn": ("baseline:norm=batch", "BatchNorm in the two middle convolutions"),
    "bn-5x5": ("baseline:norm=batch,kernel=5", "BatchNorm and 5×5 kernels in the two middle convolutions"),
    "bn-5x5-slow": ("baseline:norm=batch,kernel=5,learning_rate=0.008", "the report's final CNN"),
    "width-32": ("baseline:norm=batch,width=32", "bn with twice the filters"),
    "width-48": ("baseline:norm=batch,width=48", "bn with three times the filters"),
    "depth-6": ("baseline:norm=batch,depth=6", "bn with six convolutions"),
    "layer-norm": ("baseline:norm=layer", "layer normalisation instead of BatchNorm"),
    "instance-norm": ("baseline:norm=instance", "instance normalisation instead of BatchNorm"),
    "group-norm": ("baseline:norm=group", "group normalisation (8 channels) instead of BatchNorm"),
    "se": ("baseline:norm=batch,se", "bn with squeeze-and-excitation"),
    "best": ("compact:recipe=best", "the best from scratch: a small residual network, trained long"),
}
REPORTED = {
    "baseline": "71.69 ± 6.71",
    "bn": "77.60 ± 8.29",
    "bn-5x5": "78.84 ± 7.43",
    "bn-5x5-slow": "78.17 ± 7.75",
}


class SmallCNNs(Study):
    """The study, and the choice of a setting on tuning tasks."""

    def parser(self) -> Parser:
        """Add the options of this study."""
        parser = super().parser()
        parser.add_argument(
            "--tune",
            nargs="+",
            metavar=("SETTING", "VALUE"),
            help=f"try each method with these values of a setting on {TUNING_TASKS} tuning tasks (seeds from "
            f"{TUNING} on, which share no image with the reported ones), choose there, then report all",
        )
        return parser

    def _run(self, args: argparse.Namespace) -> None:
        if not args.tune:
            super()._run(args)
            return
        setting, *values = args.tune
        if len(values) < 2:
            raise UsageError("--tune wants a setting and two values or more: --tune learning_rate 0.1 0.01")
        variants = {
            method: [settings.changed(method, **{setting: value}) for value in values]
            for method in self.named(args)
        }
        args.method = [variant for tried in variants.values() for variant in tried]
        count = QUICK_SEEDS if args.quick else TUNING_TASKS
        tuning = argparse.Namespace(**vars(args) | {"seeds": range(TUNING, TUNING + count)})
        tried = self._report(tuning, *self._measure(tuning), part="tuning")
        chosen = {method: _best(tried.document, names) for method, names in variants.items()}
        choice = "\n".join(f"chosen for {method}: {name}" for method, name in chosen.items())
        reported = self._report(args, *self._measure(args))
        self._print(
            args,
            Report(
                {**reported.document, "tuning": tried.document, "chosen": chosen},
                f"On the tuning tasks, where the choice is made:\n{tried.text}\n{choice}\n\n"
                f"On the reported tasks:\n{reported.text}\n{choice} (on the tuning tasks)",
            ),
        )


def _best(document: dict, names: list[str]) -> str:
    """Return the method with the highest mean among those of which no trial failed."""
    means = {r["method"]: r["mean"] for r in document["methods"] if r["method"] in names and not r["failed"]}
    if not means:
        raise UsageError(f"every value diverged on some tuning task: {', '.join(names)}; try smaller ones")
    return max(means, key=means.get)


STUDY = SmallCNNs(
    name="cnn",
    question="Which small CNN, trained how, is best when there are 100 images? Changes to the network of the "
    "few-shot report's testbed, trained from new weights on the task's images alone.",
    **listed(METHODS),
    baseline="baseline",
    reported=REPORTED,
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
