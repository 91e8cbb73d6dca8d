"""Networks trained on ImageNet: heads on their frozen features, or they themselves trained on."""

from __future__ import annotations

from fewshot.methods.catalogue import methods

_ALEXNET = "imagenet/alexnet:head=linear"
_HIDDEN = "imagenet/resnet50:head=hidden,epochs=20"
_FAST = "learning_rate=0.1,batch=10"
_LITE = "imagenet/efficientnet-lite0@160"
_TUNED = "size=160,batch=10,epochs=10,schedule=linear,online=flip+shift-crop,tta_flip=yes"

for _name, _specification, _summary, _published in (
    ("alexnet-linear", f"{_ALEXNET},epochs=20", "the report's base: rate .01, batch 128", None),
    ("alexnet-lambda", f"{_ALEXNET},epochs=20,schedule=linear", "its rate falls to zero", "90.73 ± 6.42"),
    (
        "alexnet-lambda-.001",
        f"{_ALEXNET},epochs=20,schedule=linear,learning_rate=0.001",
        "the report's best",
        "92.23 ± 5.78",
    ),
    (
        "alexnet-lambda-.0001",
        f"{_ALEXNET},epochs=40,schedule=linear,learning_rate=0.0001",
        "40 epochs",
        "92.21 ± 5.42",
    ),
    (
        "alexnet-exponential",
        f"{_ALEXNET},epochs=20,schedule=exponential,learning_rate=0.001",
        "ExponentialLR",
        "91.09 ± 5.87",
    ),
    ("alexnet-step", f"{_ALEXNET},epochs=20,schedule=step,learning_rate=0.001", "StepLR", None),
    ("alexnet-cosine", f"{_ALEXNET},epochs=20,schedule=cosine,learning_rate=0.001", "cosine", None),
    ("alexnet-adagrad", f"{_ALEXNET},epochs=20,optimizer=adagrad,learning_rate=0.001", "Adagrad", None),
    (
        "resnet50-hidden-3-none",
        f"{_HIDDEN},{_FAST},width=3,norm=none",
        "three sigmoids without BatchNorm",
        "67.09 ± 16.31 (ResNet-18)",
    ),
    (
        "resnet50-hidden-3",
        f"{_HIDDEN},{_FAST},width=3",
        "three sigmoids with BatchNorm",
        "88.07 ± 6.90 (ResNet-18)",
    ),
    (
        "resnet50-hidden-18",
        f"{_HIDDEN},{_FAST},width=18",
        "eighteen sigmoids with BatchNorm",
        "91.41 ± 5.30 (ResNet-18)",
    ),
    ("resnet50-hidden-18-slow", f"{_HIDDEN},width=18,learning_rate=0.01", "rate .01, batch 128", None),
    ("lite-linear", f"{_LITE}:head=linear,epochs=40", "a linear head trained by SGD", None),
    ("lite-hidden-18", f"{_LITE}:head=hidden,epochs=20,{_FAST}", "eighteen sigmoids", None),
):
    methods.define(
        _name,
        _specification,
        _summary,
        tags=("finetune",),
        published={"testbed": _published} if _published else None,
    )

methods.define(
    "lite-logistic",
    f"{_LITE}:head=logistic",
    "logistic regression on EfficientNet-Lite0's features",
    tags=("finetune",),
    cost_seconds=2,
    aliases=("lite",),
)
methods.define(
    "lite-ridge",
    f"{_LITE}:head=ridge",
    "ridge regression on EfficientNet-Lite0's features",
    tags=("finetune",),
    cost_seconds=2,
)

for _name, _specification, _summary in (
    ("lite-centroid", f"{_LITE}:head=centroid", "the nearest class mean"),
    ("lite-96", "imagenet/efficientnet-lite0@96:head=logistic", "logistic regression at 96 pixels"),
    ("lite-flip", f"{_LITE}:head=logistic,offline=flip,tta_flip=yes", "mirrored images, too"),
    ("lite-random", f"{_LITE}:head=logistic,weights=random", "the control: random weights"),
    ("mobilenetv2-logistic", "imagenet/mobilenetv2@160:head=logistic", "logistic regression"),
    ("resnet50-logistic", "imagenet/resnet50@160:head=logistic", "logistic regression"),
    ("squeezenet-logistic", "imagenet/squeezenet@160:head=logistic", "logistic regression"),
    ("alexnet-logistic", "imagenet/alexnet:head=logistic", "logistic regression"),
    ("vgg16-logistic", "imagenet/vgg16@64:head=logistic", "logistic regression at 64 pixels"),
    (
        "resnet50-stem",
        "tuned:backbone=resnet50,size=32,stem=cifar,last=1,batch=10,epochs=20",
        "a new first convolution, 3×3 with stride 1",
    ),
    (
        "lite-tuned-last",
        f"tuned:{_TUNED},learning_rate=0.003,last=10",
        "its last ten convolutions trained on, mirrored and shifted images",
    ),
    ("lite-tuned", f"tuned:{_TUNED},learning_rate=0.0003", "all layers trained on"),
    (
        "lite-tuned-head-first",
        f"tuned:{_TUNED},learning_rate=0.0003,last=10,head_first=logistic-cv",
        "its last ten convolutions trained on at a small rate, under a head that was fitted first",
    ),
):
    methods.define(_name, _specification, _summary, tags=("finetune",))

methods.define(
    "two-backbones",
    "imagenet/efficientnet-lite0@224+resnet50@160:head=ridge",
    "ridge regression on two backbones: the strongest within a minute a seed",
    tags=("finetune",),
    cost_seconds=8,
)
methods.define(
    "two-backbones-flip",
    "imagenet/efficientnet-lite0@224+resnet50@160:head=ridge,offline=flip,tta_flip=yes",
    "the same with mirrored images, in training and in prediction: the best on tuning tasks",
    tags=("finetune",),
    cost_seconds=16,
)
methods.define(
    "two-backbones-logistic",
    "imagenet/efficientnet-lite0@224+resnet50@160:head=logistic-cv",
    "logistic regression on the same: as accurate on tuning tasks, with better probabilities",
    tags=("finetune",),
    cost_seconds=8,
)
methods.define(
    "lite-tuned-96",
    "tuned:size=96,epochs=20,batch=10,learning_rate=0.001",
    "one pretrained network, EfficientNet-Lite0, trained on in all layers (fine-tuning), at 96 pixels",
    tags=("compare",),
    cost_seconds=30,
)

methods.define(
    "lite-heads",
    "heads:backbones=efficientnet-lite0@224",
    "simple classifiers (heads) on what one pretrained network, EfficientNet-Lite0, sees in each photo",
    tags=("finetune", "compare"),
    cost_seconds=2,
)
methods.define(
    "heads",
    summary="simple classifiers on what two pretrained networks see, side by side",
    tags=("finetune", "compare"),
    cost_seconds=6,
)
methods.define(
    "heads-3",
    "heads:backbones=efficientnet-lite0@224+resnet50@224+mobilenetv2@224",
    "simple classifiers on what three pretrained networks see, side by side",
    tags=("finetune", "compare"),
    cost_seconds=8,
)
