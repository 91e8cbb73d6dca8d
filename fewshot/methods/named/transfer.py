"""Networks trained on other classes first, each beside the same network with random weights."""

from __future__ import annotations

from fewshot.methods.catalogue import methods

_REPORT = "mobilenetv2:learning_rate=0.1,epochs=15,pretrain_epochs=25"

for _name, _specification, _summary in (
    ("frozen", "baseline:transfer=cifar10,last=1", "trained on the other classes, then a new last layer"),
    ("frozen-random", "baseline:transfer=none,last=1", "the control: the same on random weights"),
    ("last-two", "baseline:transfer=cifar10,last=2", "the last two layers trained on"),
    ("last-two-random", "baseline:transfer=none,last=2", "its control"),
    ("all-layers", "baseline:transfer=cifar10", "all layers trained on"),
    ("compact-scratch", "compact", "a residual network, from new weights"),
    (
        "compact-frozen",
        "compact:transfer=cifar10,last=1",
        "trained on the other classes, then a new last layer",
    ),
    (
        "compact-frozen-random",
        "compact:transfer=none,last=1",
        "its control; its frozen BatchNorms have no statistics, either",
    ),
    ("compact-all-layers", "compact:transfer=cifar10", "all layers trained on"),
):
    methods.define(_name, _specification, _summary, tags=("transfer",))

for _name, _specification, _summary in (
    (
        "mobilenetv2-frozen",
        f"{_REPORT},transfer=cifar100,last=1",
        "the fast-response report's: a new last layer",
    ),
    ("mobilenetv2-last", f"{_REPORT},transfer=cifar100,last=5", "its last layers unfrozen"),
    (
        "mobilenetv2-last-random",
        f"{_REPORT},transfer=none,last=5",
        "the control: random weights, and BatchNorms without statistics",
    ),
):
    methods.define(_name, _specification, _summary, tags=("transfer-report",))
