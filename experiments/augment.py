"""Which augmentation helps when there are 100 images?

python -m experiments.augment --method flip --seeds 10
"""

import sys

from experiments.study import Study
from fewshot.augment.expand import expansions
from fewshot.learner import KerasLearner

STUDY = Study(
    name="augment",
    question="Which augmentation helps when there are 100 images? Every method grows the training set of the "
    "same tasks; the network and its recipe stay those of the few-shot report's testbed.",
    methods={name: expansions[name].summary for name in expansions},
    learner=lambda name, recipe: KerasLearner(recipe=recipe, expansion=name),
    baseline="none",
    reported={"none": "71.69 ± 6.71", "flip": "66.11 ± 2.71"},
)

main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
