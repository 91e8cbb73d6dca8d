"""Does training on other classes first help with 100 images, and how much of it is the training?

python -m experiments.transfer --seeds 10
python -m experiments.transfer --method resnet18:width=16,transfer=cifar10,pretrain_epochs=10,last=1
python -m experiments.transfer --method report --protocol full    # from CIFAR-100 to the whole of CIFAR-10
"""

import sys

from experiments.study import Study, listed

REPORT = "mobilenetv2:learning_rate=0.1,epochs=15,pretrain_epochs=25"
METHODS = {
    "frozen": ("baseline:transfer=cifar10,last=1", "trained on the other classes, then a new last layer"),
    "frozen-random": ("baseline:transfer=none,last=1", "the control: the same on random weights"),
    "last-two": ("baseline:transfer=cifar10,last=2", "the last two layers trained on"),
    "last-two-random": ("baseline:transfer=none,last=2", "its control"),
    "all-layers": ("baseline:transfer=cifar10", "all layers trained on"),
    "compact-scratch": ("compact", "a residual network, from new weights"),
    "compact-frozen": (
        "compact:transfer=cifar10,last=1",
        "trained on the other classes, then a new last layer",
    ),
    "compact-frozen-random": (
        "compact:transfer=none,last=1",
        "its control; its frozen BatchNorms have no statistics, either",
    ),
    "compact-all-layers": ("compact:transfer=cifar10", "all layers trained on"),
}
REPORT_METHODS = {
    "mobilenetv2-frozen": (
        f"{REPORT},transfer=cifar100,last=1",
        "the fast-response report's: a new last layer",
    ),
    "mobilenetv2-last": (f"{REPORT},transfer=cifar100,last=5", "its last layers unfrozen"),
    "mobilenetv2-last-random": (
        f"{REPORT},transfer=none,last=5",
        "the control: random weights, and BatchNorms without statistics",
    ),
}

STUDY = Study(
    name="transfer",
    question="Does training on other classes first help with 100 images, and how much of it is the training? "
    "Networks learn all classes of CIFAR-10 that a task does not have, or CIFAR-100, then the task's images; "
    "each beside the same network with random weights.",
    **listed(METHODS) | {"specs": listed(METHODS | REPORT_METHODS)["specs"]},
    baseline="baseline",
    groups={"report": tuple(REPORT_METHODS)},
    notes=f"""
  report: {", ".join(REPORT_METHODS)}: MobileNetV2 from CIFAR-100, as the fast-response report tried

  NETWORK:transfer=DATASET,…   any network; last=N layers trained (0: all), pretrain_epochs=N before
""",
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
