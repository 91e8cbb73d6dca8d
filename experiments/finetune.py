"""What do networks trained on ImageNet make of 100 images?

python -m experiments.finetune --method best
python -m experiments.finetune --method imagenet/resnet50@96:head=ridge imagenet/alexnet:head=hidden,width=3
python -m experiments.finetune --method alexnet-linear --grid
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from experiments.study import Report, Request, Study, compare_methods, listed
from fewshot import cli, settings
from fewshot.backbones import backbones, features
from fewshot.baselines import estimators
from fewshot.errors import UsageError
from fewshot.io.files import slug
from fewshot.learners.keras_network import KerasLearner
from fewshot.methods.grammar import IMAGENET, heads, learner, specification

RATES, BATCHES = (0.001, 0.01, 0.05, 0.1), (10, 32, 64, 128)
ALEXNET = "imagenet/alexnet:head=linear"
HIDDEN = "imagenet/resnet50:head=hidden,epochs=20"
FAST = "learning_rate=0.1,batch=10"
LITE = "imagenet/efficientnet-lite0@160"
TUNED = "size=160,batch=10,epochs=10,schedule=linear,policy=flip+shift-crop,mirror"
METHODS = {
    "alexnet-linear": (f"{ALEXNET},epochs=20", "the report's base: rate .01, batch 128"),
    "alexnet-lambda": (f"{ALEXNET},epochs=20,schedule=linear", "its rate falls to zero"),
    "alexnet-lambda-.001": (f"{ALEXNET},epochs=20,schedule=linear,learning_rate=0.001", "the report's best"),
    "alexnet-lambda-.0001": (f"{ALEXNET},epochs=40,schedule=linear,learning_rate=0.0001", "40 epochs"),
    "alexnet-exponential": (f"{ALEXNET},epochs=20,schedule=exponential,learning_rate=0.001", "ExponentialLR"),
    "alexnet-step": (f"{ALEXNET},epochs=20,schedule=step,learning_rate=0.001", "StepLR"),
    "alexnet-cosine": (f"{ALEXNET},epochs=20,schedule=cosine,learning_rate=0.001", "cosine"),
    "alexnet-adagrad": (f"{ALEXNET},epochs=20,optimizer=adagrad,learning_rate=0.001", "Adagrad"),
    "resnet50-hidden-3-none": (f"{HIDDEN},{FAST},width=3,norm=none", "three sigmoids without BatchNorm"),
    "resnet50-hidden-3": (f"{HIDDEN},{FAST},width=3", "three sigmoids with BatchNorm"),
    "resnet50-hidden-18": (f"{HIDDEN},{FAST},width=18", "eighteen sigmoids with BatchNorm"),
    "resnet50-hidden-18-slow": (f"{HIDDEN},width=18,learning_rate=0.01", "rate .01, batch 128"),
    "lite-linear": (f"{LITE}:head=linear,epochs=40", "a linear head trained by SGD"),
    "lite-hidden-18": (f"{LITE}:head=hidden,epochs=20,{FAST}", "eighteen sigmoids"),
    "lite-logistic": (f"{LITE}:head=logistic", "logistic regression"),
    "lite-ridge": (f"{LITE}:head=ridge", "ridge regression"),
    "lite-centroid": (f"{LITE}:head=centroid", "the nearest class mean"),
    "lite-96": ("imagenet/efficientnet-lite0@96:head=logistic", "logistic regression at 96 pixels"),
    "lite-flip": (f"{LITE}:head=logistic,expansion=flip,mirror", "mirrored images, too"),
    "lite-random": (f"{LITE}:head=logistic,weights=random", "the control: random weights"),
    "mobilenetv2-logistic": ("imagenet/mobilenetv2@160:head=logistic", "logistic regression"),
    "resnet50-logistic": ("imagenet/resnet50@160:head=logistic", "logistic regression"),
    "squeezenet-logistic": ("imagenet/squeezenet@160:head=logistic", "logistic regression"),
    "alexnet-logistic": ("imagenet/alexnet:head=logistic", "logistic regression"),
    "vgg16-logistic": ("imagenet/vgg16@64:head=logistic", "logistic regression at 64 pixels"),
    "resnet50-stem": (
        "tuned:backbone=resnet50,size=32,stem=cifar,last=1,batch=10,epochs=20",
        "a new first convolution, 3×3 with stride 1",
    ),
    "lite-tuned-last": (
        f"tuned:{TUNED},learning_rate=0.003,last=10",
        "its last ten convolutions trained on, mirrored and shifted images",
    ),
    "lite-tuned": (f"tuned:{TUNED},learning_rate=0.0003", "all layers trained on"),
    "best": (
        "imagenet/efficientnet-lite0@224+resnet50@160:head=ridge",
        "ridge regression on two backbones: the strongest within a minute a seed",
    ),
}
REPORTED = {
    "alexnet-lambda": "90.73 ± 6.42",
    "alexnet-lambda-.001": "92.23 ± 5.78",
    "alexnet-lambda-.0001": "92.21 ± 5.42",
    "alexnet-exponential": "91.09 ± 5.87",
    "resnet50-hidden-3-none": "67.09 ± 16.31 (ResNet-18)",
    "resnet50-hidden-3": "88.07 ± 6.90 (ResNet-18)",
    "resnet50-hidden-18": "91.41 ± 5.30 (ResNet-18)",
}


def add_options(parser: cli.Parser) -> None:
    """Add the options of this study."""
    group = parser.add_argument_group("backbones")
    group.add_argument(
        "--weights",
        metavar="random|FILE",
        help="random weights as a control, or your own file (.pth, .h5, .keras, tfjs), for all backbones",
    )
    group.add_argument(
        "--grid",
        action="store_true",
        help=f"each method with the learning rates {_list(RATES)} and the batches {_list(BATCHES)}, "
        "and a heat map",
    )
    group.add_argument(
        "--clear-cache", action="store_true", help="delete all stored features before anything else"
    )


def answer(study: Study, request: Request) -> Report:
    """Compare the methods, with other weights if asked; or each on a grid of rates and batches."""
    if request.options.clear_cache:
        features.clear()
    if request.options.weights:
        request = replace(request, methods=_weighted(study, request))
    if not request.options.grid:
        return compare_methods(study, request)
    grids = _grids(study, request.methods)
    cells = tuple(method for grid in grids.values() for method in grid.values())
    compared = compare_methods(study, replace(request, methods=cells))
    return _with_heat_maps(compared, grids, request.out / study.name)


def _weighted(study: Study, request: Request) -> tuple[str, ...]:
    """Return the methods with a backbone, with the weights that the command line asks for."""
    pretrained = [
        name for name in request.methods if specification(name, study.specs).startswith((IMAGENET, "tuned"))
    ]
    if not pretrained:
        raise UsageError("--weights is for methods with a backbone, such as lite-logistic or best")
    return tuple(settings.changed(name, weights=request.options.weights) for name in pretrained)


def _grids(study: Study, methods: Sequence[str]) -> dict[str, dict[tuple[float, int], str]]:
    """Return, for each method that a recipe trains, rate and batch → the method so trained."""
    trained = [name for name in methods if isinstance(learner(name, {}, study.specs), KerasLearner)]
    if not trained:
        raise UsageError("--grid is for heads that a recipe trains, such as alexnet-linear or head=linear")
    return {
        name: {(r, b): settings.changed(name, learning_rate=r, batch=b) for r in RATES for b in BATCHES}
        for name in trained
    }


def _with_heat_maps(compared: Report, grids: Mapping[str, Mapping], folder: Path) -> Report:
    """Return the report with a heat map a method: mean accuracy by rate and batch."""
    from fewshot.report.plots.heat import heat

    means = {row["method"]: (row["mean"], row["std"]) for row in compared.document["methods"]}
    figures, lines = [], []
    for name, cells in grids.items():
        stem = folder / f"grid-{slug(name)}"
        values = {cell: means[method] for cell, method in cells.items()}
        with cli.writing(folder):
            paths = [str(path) for path in heat(values, stem, ("learning rate", "batch"), name)]
        figures += paths
        lines.append(f"heat map: {', '.join(paths)}")
    document = {**compared.document, "figures": [*compared.document["figures"], *figures]}
    return Report(document, "\n".join([compared.text, *lines]))


def _list(values) -> str:
    return ", ".join(map(str, values))


STUDY = Study(
    name="finetune",
    question="What do networks trained on ImageNet make of 100 images? Their features are computed once an "
    "image and kept, and heads are trained on them; or they are trained on, all or their last layers.",
    **listed(METHODS),
    baseline="baseline",
    reported=REPORTED,
    notes=f"""
  imagenet/NAME@SIZE+NAME…:head=HEAD,…   frozen features of one backbone or several, side by side
      backbones: {", ".join(backbones)}, keras/NAME (of keras.applications)
      heads: {", ".join([*heads(), *estimators])}
      expansion=flip, crop, flip+crop; mirror: predictions averaged over each image and its mirror image
""",
    options=add_options,
    answer=answer,
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
