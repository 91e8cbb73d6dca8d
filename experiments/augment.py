"""Which augmentation helps when there are 100 images?

python -m experiments.augment --method flip --seeds 10
python -m experiments.augment --method published online:strong --updates 500
python -m experiments.augment --method flip patchshuffle --sheet
"""

import argparse
import re
import sys
from pathlib import Path

from experiments.study import Study
from fewshot import backend
from fewshot.augment.offline import MAX_DRAWN, MAX_VIEWS, expansions
from fewshot.augment.online import policies
from fewshot.augment.published import PUBLISHED
from fewshot.cli import options as cli
from fewshot.cli.options import Parser
from fewshot.data import Splits, open_splits
from fewshot.errors import UsageError
from fewshot.learners.keras_network import KerasLearner
from fewshot.methods.grammar import ONLINE
from fewshot.trials.testbed import Trial

LIMIT = 20_000  # examples: beyond, a trial takes the better part of an hour

COMBINED = ("flip+rotation+patchshuffle", "flip+rotation+patchshuffle+mixing")
NOTES = f"""
  a+b              expansions side by side with the originals: flip+rotation+patchshuffle (6N)
  mixing(a+b)      all pairs of the originals and the expansions inside
  online:a+b       one online policy after the other: online:flip+cutout
  albumentations:FILE   your own pipeline, as A.save writes it (YAML or JSON), drawn anew every epoch,
                   up to {MAX_VIEWS} times and {MAX_DRAWN:,} images in all; these come round again
"""


def methods() -> dict[str, str]:
    """Return every expansion and every online policy with what it does."""
    return {name: expansions[name].summary for name in expansions} | {
        ONLINE + name: policies[name].summary for name in policies if name != "none"
    }


class Augmentation(Study):
    """The study, with its pictures of what each method does to a task's images."""

    def parser(self) -> Parser:
        """Add the options of this study."""
        parser = super().parser()
        parser.add_argument(
            "--sheet", action="store_true", help="draw what each method makes of a task's images; no training"
        )
        parser.add_argument(
            "--yes", action="store_true", help=f"also train on sets of more than {LIMIT:,} images"
        )
        return parser

    def before(self, args: argparse.Namespace, trials: list[Trial], n: int) -> bool:
        """Refuse sets beyond the limit without `--yes`; draw the sheets if asked."""
        learners = {
            trial.method: trial.learner for trial in trials if isinstance(trial.learner, KerasLearner)
        }
        splits = open_splits(trials[0].data.folder)
        if args.sheet:
            for one in learners.values():
                one.check(splits.train.image_shape)
            _sheets(Path(args.out) / self.name / "sheets", learners, trials[0], splits)
            return False
        large = {name: one.examples(n) for name, one in learners.items() if one.examples(n) > max(LIMIT, n)}
        if large and not args.yes:
            sizes = ", ".join(f"{name} ({count:,} images)" for name, count in large.items())
            raise UsageError(f"this takes hours: {sizes}; add --yes if you mean it, --epochs 1 to try")
        return True


def _sheets(folder: Path, learners: dict[str, KerasLearner], trial: Trial, splits: Splits) -> None:
    from fewshot.report.plots.sheet import sheet, show, show_online

    task = trial.protocol.draw(splits, trial.seed)
    for name, one in learners.items():
        if one.recipe.policy == "none":
            rows = show(task.train, one.expansion, task.seed)
        else:
            backend.start(trial.threads, trial.device)
            rows = show_online(task.train, one.recipe.policy, task.seed)
        stem = folder / re.sub(r"[^\w+()-]", "_", name)
        with cli.writing(folder):
            path, _ = sheet(rows, stem, f"{name}: task {task.seed}")
        print(path)


STUDY = Augmentation(
    name="augment",
    question="Which augmentation helps when there are 100 images? Every method trains the network of the "
    "few-shot report's testbed on the same tasks. Expansions grow the set once, before training; online "
    "policies draw anew at every update.",
    methods=methods,
    baseline="none",
    groups={"all": COMBINED, "published": PUBLISHED},
    reported=PUBLISHED,
    notes=NOTES,
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
