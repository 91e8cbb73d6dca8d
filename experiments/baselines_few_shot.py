"""What are the baselines report's learners worth with 100 images? The tasks of every study, ten seeds.

python -m experiments.baselines_few_shot --method all
python -m experiments.baselines_few_shot --method knn nc --protocol pairs45 --seeds 45
"""

import sys

from experiments.study import Study, listed

DISTANCES = {"l1": "L1", "l2": "L2", "cosine": "cosine", "ssim": "SSIM"}
METHODS = {
    **{
        f"knn-{distance}-{k}": (
            f"knn:distance={distance},k={k},scale=zscore-scalar",
            f"{k} nearest training image{'s' * (k > 1)}, {named}, z-score",
        )
        for distance, named in DISTANCES.items()
        for k in (1, 3)
    },
    "knn-cosine-1-minmax": ("knn:distance=cosine,scale=minmax", "the same, min-max (L1 and L2 rank alike)"),
    "knn-ssim-1-minmax": ("knn:distance=ssim,scale=minmax", "the same, min-max"),
    **{
        f"nc-{distance}": (
            f"nearest-centroid:distance={distance},scale=zscore-scalar",
            f"the nearest class mean, {named}, z-score",
        )
        for distance, named in DISTANCES.items()
    },
    "fc3-xavier": ("numpy-fc3:init=xavier", "FC(3) in NumPy, Xavier"),
    "fc3-he": ("numpy-fc3", "FC(3), He"),
    "fc3-slow": ("numpy-fc3:learning_rate=0.001", "FC(3), He, the report's rate of 0.001"),
    "fc3-dropout": ("numpy-fc3:dropout=0.2", "FC(3), He, dropout"),
    "fc5-he": ("numpy-fc5", "FC(5), He"),
    "conv-16-16": ("numpy-conv16", "two convolutions of 16 filters in NumPy"),
    "conv-32-32": ("numpy-conv32", "two of 32"),
    "conv-32-32-64-64": ("numpy-conv4", "four"),
    "ridge": ("ridge", "ridge regression on the pixels"),
    "logistic": ("logistic", "logistic regression on the pixels"),
    "patches": ("patches", "ridge regression on responses to random patches"),
}
GROUPS = {
    group: [name for name in METHODS if name.startswith(group)] for group in ("knn", "nc", "fc", "conv")
} | {"linear": ["ridge", "logistic", "patches"]}

STUDY = Study(
    name="baselines_few_shot",
    question="What are the baselines report's learners worth with 100 images? Nearest neighbours, means "
    "and networks in NumPy beside linear references and the small CNN, on the same tasks. "
    "(All of CIFAR-10: experiments.baselines.)",
    **listed(METHODS),
    baseline="baseline",
    groups=GROUPS,
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
