"""What do networks trained on ImageNet make of 100 images?

python -m experiments.finetune --method best
python -m experiments.finetune --method imagenet/resnet50@96:head=ridge imagenet/alexnet:head=hidden,width=3
python -m experiments.finetune --method alexnet-linear --grid
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from experiments.study import Report, Request, Study, compare_methods
from fewshot import cli
from fewshot.backbones import backbones, features
from fewshot.backbones.hub import SHORT
from fewshot.baselines import estimators
from fewshot.errors import UsageError
from fewshot.io.files import slug
from fewshot.methods.specification import changed, feature_heads, parse, setting_names

RATES, BATCHES = (0.001, 0.01, 0.05, 0.1), (10, 32, 64, 128)


def add_options(parser: cli.Parser) -> None:
    """Add the options of this study."""
    group = parser.add_argument_group("backbones")
    group.add_argument(
        "--weights",
        type=cli.path,
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
        request = replace(request, methods=_weighted(request))
    if not request.options.grid:
        return compare_methods(study, request)
    grids = _grids(request.methods)
    cells = tuple(method for grid in grids.values() for method in grid.values())
    compared = compare_methods(study, replace(request, methods=cells))
    return _with_heat_maps(compared, grids, request.out / study.name)


def _weighted(request: Request) -> tuple[str, ...]:
    """Return the methods with a backbone, with the weights that the command line asks for."""
    pretrained = [name for name in request.methods if "weights" in setting_names(name)]
    if not pretrained:
        raise UsageError("--weights is for methods with a backbone, such as lite-logistic or two-backbones")
    return tuple(changed(name, weights=request.options.weights) for name in pretrained)


def _grids(methods: Sequence[str]) -> dict[str, dict[tuple[float, int], str]]:
    """Return, for each method that a recipe trains, rate and batch → the method so trained."""
    trained = [name for name in methods if parse(name).recipe is not None]
    if not trained:
        raise UsageError("--grid is for heads that a recipe trains, such as alexnet-linear or head=linear")
    return {
        name: {(r, b): changed(name, learning_rate=r, batch=b) for r in RATES for b in BATCHES}
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
    tag="finetune",
    baseline="baseline",
    notes=f"""
  imagenet/NAME@SIZE+NAME…:head=HEAD,…   frozen features of one backbone or several, side by side
      backbones: {", ".join(backbones)}, keras/NAME (of keras.applications);
          {", ".join(SHORT)}, hub/PRESET, hub/FOLDER (of KerasHub, with the extra 'hub')
      heads: {", ".join([*feature_heads(), *estimators])}
      offline=flip, crop, flip+crop; tta_flip: predictions averaged over each image and its mirror image
""",
    options=add_options,
    answer=answer,
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
