"""Networks for whole datasets: the reports' recipes with what they published, and good ones."""

from __future__ import annotations

from fewshot.methods.catalogue import methods

_MLP_REPORT = "online=shift-crop+flip+rotation+color-jitter+erasing,optimizer=adamw,learning_rate=0.001"
_SHORT = "mobilenetv2-short:optimizer={},learning_rate={},epochs=20,weight_decay=0"

for _name, _specification, _summary, _published in (
    (
        "lenet",
        "lenet5:optimizer=adam,learning_rate=0.001,epochs=20,weight_decay=0",
        "LeNet-5 with sigmoids, Adam, rate .001 (fast response)",
        "63",
    ),
    (
        "lecture",
        "lecture-net:learning_rate=0.001,batch=4,epochs=2,weight_decay=0",
        "the lecture's net, SGD, rate .001, two epochs of batches of four",
        None,
    ),
    (
        "resnet34-sgd",
        "resnet34:learning_rate=0.1,epochs=20",
        "ResNet-34, SGD, rate .1 (fast response)",
        "75.5",
    ),
    *(
        (
            f"short-{optimizer}-{rate}",
            _SHORT.format(optimizer, rate),
            f"the fast-response report's MobileNetV2: {optimizer}, rate {rate}",
            published,
        )
        for optimizer, rate, published in (
            ("sgd", 0.1, "66.56"),
            ("adam", 0.1, "28.95"),
            ("adadelta", 0.1, "76.25"),
            ("sgd", 0.01, "83.27"),
            ("adam", 0.01, "82.07"),
            ("adadelta", 0.01, "62.67"),
        )
    ),
    (
        "resnet18-step",
        "resnet18:learning_rate=0.1,schedule=step,epochs=20",
        "ResNet-18 with StepLR (baselines)",
        "50.71",
    ),
    (
        "vgg16-slow",
        "vgg16:optimizer=adam,learning_rate=0.0001,epochs=20,weight_decay=0",
        "VGG-16, rate .0001 (baselines)",
        "51.47",
    ),
    (
        "mlp-report",
        f"mlp:{_MLP_REPORT},batch=64,epochs=25,weight_decay=0.01",
        "the MLP, AdamW, batch 64, five augmentations",
        "42 (validation)",
    ),
    (
        "mobilenetv2-224",
        f"mobilenetv2:size=224,{_MLP_REPORT},batch=16,epochs=25,weight_decay=0.01",
        "MobileNetV2 at 224 pixels, batch 16",
        "90",
    ),
):
    methods.define(
        _name,
        _specification,
        _summary,
        tags=("full", "full-reports", *(["optimizers"] if _name.startswith("short-") else [])),
        published={"full": _published} if _published else None,
    )

for _name, _specification, _summary in (
    (
        "lenet-whole",
        "lecture-net:recipe=whole,learning_rate=0.05,label_smoothing=0,online=flip+shift-crop",
        "LeNet with ReLU and max-pooling, trained well",
    ),
    ("mlp-whole", "mlp:dropout=0.1,recipe=whole,learning_rate=0.05,online=flip+shift-crop", "the MLP"),
    ("resnet18-whole", "resnet18:recipe=whole", "ResNet-18"),
    ("vgg16-whole", "vgg16:norm=batch,recipe=whole,learning_rate=0.05", "VGG-16 with BatchNorm"),
    ("short-whole", "mobilenetv2-short:recipe=whole", "the shortened MobileNetV2"),
    (
        "speedrun",
        "airbench:recipe=speedrun",
        "94 % in the least time: airbench94's network, 8 epochs of Muon",
    ),
    ("speedrun-sgd", "airbench:recipe=speedrun-sgd", "the same in 9.9 epochs of SGD with lookahead"),
    ("mobilenetv2-whole", "mobilenetv2:recipe=whole", "MobileNetV2"),
):
    methods.define(_name, _specification, _summary, tags=("full", "whole"))

for _name, _specification, _summary in (
    ("resnet18-long", "resnet18:recipe=whole-long", "ResNet-18, 120 epochs"),
    (
        "vgg16-long",
        "vgg16:norm=batch,recipe=whole-long,learning_rate=0.05",
        "VGG-16, BatchNorm, 120 epochs",
    ),
    ("mobilenetv2-long", "mobilenetv2:recipe=whole-long", "MobileNetV2, 120 epochs"),
    ("short-long", "mobilenetv2-short:recipe=whole-long", "the shortened MobileNetV2, 120 epochs"),
):
    methods.define(_name, _specification, _summary, tags=("full-long",))
