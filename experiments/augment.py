"""Which augmentation helps when there are 100 images?

python -m experiments.augment --method flip --seeds 10
python -m experiments.augment --method published online:strong --updates 500
python -m experiments.augment --method flip patchshuffle --sheet
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from experiments.study import Report, Request, Study, measure, plan, report, training_images
from fewshot import backend, cli
from fewshot.augment.offline import MAX_DRAWN, MAX_VIEWS
from fewshot.data import open_splits
from fewshot.errors import UsageError
from fewshot.io.files import slug
from fewshot.learners.keras_network import KerasLearner
from fewshot.trials.plan import Plan

LIMIT = 20_000  # examples: beyond, a trial takes the better part of an hour

NOTES = f"""
  a+b              expansions side by side with the originals: flip+rotation+patchshuffle (6N)
  mixing(a+b)      all pairs of the originals and the expansions inside
  online:a+b       one online policy after the other: online:flip+cutout
  albumentations:FILE   your own pipeline, as A.save writes it (YAML or JSON), drawn anew every epoch,
                   up to {MAX_VIEWS} times and {MAX_DRAWN:,} images in all; these come round again
"""


def add_options(parser: cli.Parser) -> None:
    """Add the options of this study."""
    parser.add_argument(
        "--sheet", action="store_true", help="draw what each method makes of a task's images; no training"
    )
    parser.add_argument(
        "--yes", action="store_true", help=f"also train on sets of more than {LIMIT:,} images"
    )


def answer(study: Study, request: Request) -> Report:
    """Draw the sheets, if these are asked for; else compare the methods, huge sets only if they are meant."""
    trials = plan(study, request)
    learners = {
        name: learner for name, learner in trials.learners.items() if isinstance(learner, KerasLearner)
    }
    if request.options.sheet:
        sheets = plot_sheets(request.out / study.name / "sheets", learners, trials)
        return Report({"study": study.name, "sheets": sheets}, "\n".join(sheets.values()))
    n = training_images(trials)
    sizes = {name: learner.examples(n) for name, learner in learners.items()}
    large = [f"{name} ({size:,} images)" for name, size in sizes.items() if size > max(LIMIT, n)]
    if large and not request.options.yes:
        raise UsageError(f"this takes hours: {', '.join(large)}; add --yes if you mean it, --epochs 1 to try")
    return report(study, request, measure(trials, request))


def plot_sheets(folder: Path, learners: Mapping[str, KerasLearner], trials: Plan) -> dict[str, str]:
    """Draw a picture a method of what it makes of the images of the first task; return method → its path."""
    from fewshot.report.plots.sheet import sheet, show, show_online

    first = trials.trials[0]
    splits = open_splits(first.data.folder)
    for learner in learners.values():
        learner.check(splits.train.image_shape)
    task = first.protocol.sample_task(splits, first.seed)
    paths = {}
    for name, learner in learners.items():
        if learner.recipe.online == "none":
            rows = show(task.train, learner.offline, task.seed)
        else:
            backend.start(first.threads, first.device)
            rows = show_online(task.train, learner.recipe.online, task.seed)
        with cli.writing(folder):
            path, _ = sheet(rows, folder / slug(name, keep="+()"), f"{name}: task {task.seed}")
        paths[name] = str(path)
    return paths


STUDY = Study(
    name="augment",
    question="Which augmentation helps when there are 100 images? Every method trains the network of the "
    "few-shot report's testbed on the same tasks. Expansions grow the set once, before training; online "
    "policies draw anew at every update.",
    tag="augment",
    baseline="baseline",
    groups={"published": "augment-report"},
    notes=NOTES,
    options=add_options,
    answer=answer,
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
