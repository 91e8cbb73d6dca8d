"""Which small CNN, trained how, is best when there are 100 images?

python -m experiments.cnn --method bn bn-5x5 best
python -m experiments.cnn --method bn:norm=group baseline:width=32,weight_decay=0.005
python -m experiments.cnn --method bn-5x5 --tune learning_rate 0.1 0.01 0.008 0.001
"""

from __future__ import annotations

import sys
from dataclasses import replace

from experiments.study import (
    QUICK_SEEDS,
    Report,
    Request,
    Study,
    compare_methods,
    measure,
    plan,
    report,
)
from fewshot import cli
from fewshot.data.protocols import TUNING
from fewshot.errors import UsageError
from fewshot.methods.specification import changed, setting_names
from fewshot.settings import current_name

TUNING_TASKS = 20
LENGTHS = ("epochs", "updates")  # what the command line may say for every method at once


def add_options(parser: cli.Parser) -> None:
    """Add the options of this study."""
    parser.add_argument(
        "--tune",
        nargs="+",
        metavar=("SETTING", "VALUE"),
        help=f"try each method with these values of a setting on {TUNING_TASKS} tuning tasks (seeds from "
        f"{TUNING} on, which share no image with the reported ones), choose there, then report all",
    )


def answer(study: Study, request: Request) -> Report:
    """Compare the methods, or choose the values of a setting on tuning tasks and report all of them."""
    if not request.options.tune:
        return compare_methods(study, request)
    setting, *values = request.options.tune
    if len(values) < 2:
        raise UsageError("--tune wants a setting and two values or more: --tune learning_rate 0.1 0.01")
    length = request.training.fields()
    if length and setting in LENGTHS:
        said = next((name for name in LENGTHS if getattr(request.options, name)), "quick")
        raise UsageError(
            f"--tune {setting} and --{said} exclude each other: --{said} says how long every method trains"
        )
    variants = {
        method: [changed(method, **{current_name(setting, setting_names(method)): value}) for value in values]
        for method in request.methods
    }
    request = replace(request, methods=tuple(name for names in variants.values() for name in names))
    count = QUICK_SEEDS if request.quick else TUNING_TASKS
    on_tuning_tasks = replace(request, seeds=range(TUNING, TUNING + count))
    tuning = report(study, request, measure(plan(study, on_tuning_tasks), request), part="tuning")
    best = {method: _best(tuning.document, names) for method, names in variants.items()}
    choice = "\n".join(f"chosen for {method}: {name}" for method, name in best.items())
    reported = compare_methods(study, request)
    return Report(
        {**reported.document, "tuning": tuning.document, "chosen": best},
        f"On the tuning tasks, where the choice is made:\n{tuning.text}\n{choice}\n\n"
        f"On the reported tasks:\n{reported.text}\n{choice} (on the tuning tasks)",
    )


def _best(document: dict, names: list[str]) -> str:
    """Return the method with the highest mean among those of which no trial failed."""
    means = {r["method"]: r["mean"] for r in document["methods"] if r["method"] in names and not r["failed"]}
    if not means:
        raise UsageError(f"every value diverged on some tuning task: {', '.join(names)}; try smaller ones")
    return max(means, key=means.get)


STUDY = Study(
    name="cnn",
    question="Which small CNN, trained how, is best when there are 100 images? Changes to the network of the "
    "few-shot report's testbed, trained from new weights on the task's images alone.",
    tag="cnn",
    baseline="baseline",
    options=add_options,
    answer=answer,
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
