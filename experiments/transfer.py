"""Does training on other classes first help with 100 images, and how much of it is the training?

python -m experiments.transfer --seeds 10
python -m experiments.transfer --method resnet18:width=16,transfer=cifar10,pretrain_epochs=10,last=1
python -m experiments.transfer --method report --protocol full    # from CIFAR-100 to the whole of CIFAR-10
"""

from __future__ import annotations

import sys

from experiments.study import Study

STUDY = Study(
    name="transfer",
    question="Does training on other classes first help with 100 images, and how much of it is the training? "
    "Networks learn all classes of CIFAR-10 that a task does not have, or CIFAR-100, then the task's images; "
    "each beside the same network with random weights.",
    tag="transfer",
    baseline="baseline",
    groups={"report": "transfer-report"},
    notes="""
  report: mobilenetv2-frozen, mobilenetv2-last, mobilenetv2-last-random: MobileNetV2 from CIFAR-100,
      as the fast-response report tried

  NETWORK:transfer=DATASET,…   any network; last=N layers trained (0: all), pretrain_epochs=N before
""",
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
