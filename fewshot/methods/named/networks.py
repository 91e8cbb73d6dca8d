"""Small CNNs from new weights: changes to the network of the few-shot report's testbed."""

from __future__ import annotations

from fewshot.methods.catalogue import methods

methods.define(
    "baseline",
    summary="a small network trained from scratch: the few-shot report's testbed network",
    tags=("augment", "cnn", "synthetic", "compare"),
    cost_seconds=3,
    published={"testbed": "71.69 ± 6.71"},
    aliases=("none", "real"),
)

for _name, _specification, _summary, _published in (
    ("bn", "baseline:norm=batch", "BatchNorm in the two middle convolutions", "77.60 ± 8.29"),
    (
        "bn-5x5",
        "baseline:norm=batch,kernel=5",
        "BatchNorm and 5×5 kernels in the two middle convolutions",
        "78.84 ± 7.43",
    ),
    (
        "bn-5x5-slow",
        "baseline:norm=batch,kernel=5,learning_rate=0.008",
        "the report's final CNN",
        "78.17 ± 7.75",
    ),
    ("width-32", "baseline:norm=batch,width=32", "bn with twice the filters", None),
    ("width-48", "baseline:norm=batch,width=48", "bn with three times the filters", None),
    ("depth-6", "baseline:norm=batch,depth=6", "bn with six convolutions", None),
    ("layer-norm", "baseline:norm=layer", "layer normalisation instead of BatchNorm", None),
    ("instance-norm", "baseline:norm=instance", "instance normalisation instead of BatchNorm", None),
    ("group-norm", "baseline:norm=group", "group normalisation (8 channels) instead of BatchNorm", None),
    ("se", "baseline:norm=batch,se=yes", "bn with squeeze-and-excitation", None),
):
    methods.define(
        _name,
        _specification,
        _summary,
        tags=("cnn",),
        published={"testbed": _published} if _published else None,
    )

methods.define(
    "best",
    "compact:recipe=best",
    "the best network trained from scratch: a small residual one, trained long",
    tags=("cnn", "compare"),
    cost_seconds=80,
)

methods.define(
    "wrn-long",
    "wrn:drop=0.3,recipe=long",
    "WRN-16-4, trained for 2,000 passes: for a GPU",
    tags=("deic",),
)
methods.define(
    "wrn-long-3",
    "wrn:drop=0.3,recipe=long,ensemble_size=3",
    "three of them averaged",
    tags=("deic",),
)
