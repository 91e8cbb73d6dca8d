"""What are the baselines report's learners worth with 100 images? The tasks of every study, ten seeds.

python -m experiments.baselines_few_shot --method all
python -m experiments.baselines_few_shot --method knn nc --protocol pairs45 --seeds 45
"""

from __future__ import annotations

import sys

from experiments.study import Study

STUDY = Study(
    name="baselines_few_shot",
    question="What are the baselines report's learners worth with 100 images? Nearest neighbours, means "
    "and networks in NumPy beside linear references and the small CNN, on the same tasks. "
    "(All of CIFAR-10: experiments.baselines.)",
    tag="baselines",
    baseline="baseline",
    groups={
        "knn": "neighbours",
        "nc": "centroids",
        "fc": "dense",
        "conv": "convolutions",
        "linear": "linear",
    },
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
