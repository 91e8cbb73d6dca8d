"""Which architecture learns from 100 images, and does the recipe matter more?

python -m experiments.zoo --method resnet18-narrow mobilenetv2-short
python -m experiments.zoo --method vgg16:norm=batch,width=16,recipe=best
python -m experiments.zoo --method lenet5 --protocol full --epochs 3
"""

import sys

from experiments.study import Study, listed

METHODS = {
    "lenet5": ("lenet5", "LeNet-5, with sigmoids"),
    "lecture-net": ("lecture-net", "the lecture's small example"),
    "mlp": ("mlp", "the MLP report's network: no convolutions"),
    "alexnet-narrow": ("alexnet:width=16", "AlexNet of a quarter of its width"),
    "vgg11-narrow": ("vgg11:norm=batch,width=16", "VGG A with BatchNorm, a quarter of its width"),
    "resnet18-narrow": ("resnet18:width=16", "ResNet-18 of a quarter of its width"),
    "mobilenetv2-short": ("mobilenetv2-short", "the fast-response report's MobileNetV2"),
    "convnext-atto": ("convnext-atto", "the smallest ConvNeXt"),
    "lecture-net-best": ("lecture-net:recipe=best", "trained as best is"),
    "vgg11-narrow-best": ("vgg11:norm=batch,width=16,recipe=best", "trained as best is"),
}

STUDY = Study(
    name="zoo",
    question="Which architecture learns from 100 images, and does the recipe matter more? Some of every "
    "family, from new weights, in widths that 100 images of 32×32 can bear.",
    **listed(METHODS),
    baseline="baseline",
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
