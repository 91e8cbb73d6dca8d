"""Architectures from new weights, in widths that 100 images of 32×32 can bear."""

from __future__ import annotations

from fewshot.methods.catalogue import methods

for _name, _specification, _summary in (
    ("lenet5", None, "LeNet-5, with sigmoids"),
    ("lecture-net", None, "the lecture's small example"),
    ("mlp", None, "the MLP report's network: no convolutions"),
    ("alexnet-narrow", "alexnet:width=16", "AlexNet of a quarter of its width"),
    ("vgg11-narrow", "vgg11:norm=batch,width=16", "VGG A with BatchNorm, a quarter of its width"),
    ("resnet18-narrow", "resnet18:width=16", "ResNet-18 of a quarter of its width"),
    ("mobilenetv2-short", None, "the fast-response report's MobileNetV2"),
    ("convnext-atto", None, "the smallest ConvNeXt"),
    ("lecture-net-best", "lecture-net:recipe=best", "trained as best is"),
    ("vgg11-narrow-best", "vgg11:norm=batch,width=16,recipe=best", "trained as best is"),
):
    methods.define(_name, _specification, _summary, tags=("zoo",))
