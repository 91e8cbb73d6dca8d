"""Classical baselines: nearest neighbours, means, linear models on pixels, and networks in NumPy.

What the baselines report says of them is of another kind, four quantities a row on the whole of CIFAR-10; it
stands with the command that measures these.
"""

from __future__ import annotations

from fewshot.methods.catalogue import methods

_DISTANCES = {"l1": "L1", "l2": "L2", "cosine": "cosine", "ssim": "SSIM"}

for _distance, _words in _DISTANCES.items():
    for _k in (1, 3):
        _usual = (_distance, _k) == ("cosine", 3)
        methods.define(
            "knn-cosine" if _usual else f"knn-{_distance}-{_k}",
            f"knn:distance={_distance},k={_k},scale=zscore-scalar",
            f"{_k} nearest training image{'s' * (_k > 1)}, {_words}, z-score",
            tags=("baselines", "neighbours"),
            cost_seconds=1 if _usual else None,
            aliases=("k-nn", "knn-cosine-3") if _usual else (),
        )

for _name, _specification, _summary in (
    ("knn-cosine-1-minmax", "knn:distance=cosine,scale=minmax", "the same, min-max (L1 and L2 rank alike)"),
    ("knn-ssim-1-minmax", "knn:distance=ssim,scale=minmax", "the same, min-max"),
):
    methods.define(_name, _specification, _summary, tags=("baselines", "neighbours"))

for _distance, _words in _DISTANCES.items():
    methods.define(
        f"nc-{_distance}",
        f"nearest-centroid:distance={_distance},scale=zscore-scalar",
        f"the nearest class mean, {_words}, z-score",
        tags=("baselines", "centroids"),
    )

for _name, _specification, _summary, _topic in (
    ("fc3-xavier", "numpy-fc3:init=xavier", "FC(3) in NumPy, Xavier", "dense"),
    ("fc3-he", "numpy-fc3", "FC(3), He", "dense"),
    ("fc3-slow", "numpy-fc3:learning_rate=0.001", "FC(3), He, the report's rate of 0.001", "dense"),
    ("fc3-dropout", "numpy-fc3:dropout=0.2", "FC(3), He, dropout", "dense"),
    ("fc5-he", "numpy-fc5", "FC(5), He", "dense"),
    ("conv-16-16", "numpy-conv16", "two convolutions of 16 filters in NumPy", "convolutions"),
    ("conv-32-32", "numpy-conv32", "two of 32", "convolutions"),
    ("conv-32-32-64-64", "numpy-conv4", "four", "convolutions"),
):
    methods.define(_name, _specification, _summary, tags=("baselines", _topic))

for _name, _summary, _cost, _tags in (
    ("ridge", "ridge regression on the pixels", 1, ()),
    ("logistic", "logistic regression on the pixels", None, ()),
    ("patches", "no network: ridge regression on how photos respond to random patches", 3, ("compare",)),
):
    methods.define(_name, summary=_summary, tags=("baselines", "linear", *_tags), cost_seconds=_cost)

methods.define(
    "patches-best",
    "patches:alpha=1600,count=200,levels=2,power=0.5,symmetric,threshold=1.5",
    "patches that cannot tell left from right, in quadrants and ninths, their roots under ridge",
    tags=("baselines", "linear"),
    cost_seconds=6,
)
