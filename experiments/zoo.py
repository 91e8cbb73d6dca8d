"""Which architecture learns from 100 images, and does the recipe matter more?

python -m experiments.zoo --method resnet18-narrow mobilenetv2-short
python -m experiments.zoo --method vgg16:norm=batch,width=16,recipe=best
python -m experiments.zoo --method lenet5 --protocol full --epochs 3
"""

from __future__ import annotations

import sys

from experiments.study import Study

STUDY = Study(
    name="zoo",
    question="Which architecture learns from 100 images, and does the recipe matter more? Some of every "
    "family, from new weights, in widths that 100 images of 32×32 can bear.",
    tag="zoo",
    baseline="baseline",
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
