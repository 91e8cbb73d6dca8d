"""How accurate are these networks with all the images? The reports' recipes, and good ones.

python -m experiments.full --method lenet resnet18-whole --seeds 3
python -m experiments.full --method optimizers --limit-train 10000 --epochs 5 --validate
KERAS_BACKEND=jax python -m experiments.full --recipe speedrun --seeds 20 --device gpu
"""

from __future__ import annotations

from dataclasses import replace

from experiments.full.details import details, pictures, pooled, runs
from experiments.study import Report, Request, Study, measure, plan, report
from fewshot import cli
from fewshot.data.protocols import TUNING, Protocol
from fewshot.errors import UsageError
from fewshot.methods.specification import parse
from fewshot.training.recipe import recipes


def add_options(parser: cli.Parser) -> None:
    """Add the options of this study."""
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help=f"train every method's network by it, the first as the baseline: {', '.join(recipes)} "
        "(without --method: the network airbench)",
    )
    parser.add_argument_group("choices").add_argument(
        "--validate",
        action="store_true",
        help="train on nine tenths of the training images, measure on the last tenth, along the way, "
        "too: for choices; the test images stay unseen",
    )


def answer(study: Study, request: Request) -> Report:
    """Compare the methods, by one recipe if that is asked for; tell of every class, too."""
    if recipe := request.options.recipe:
        recipes[recipe]  # raises for an unknown one
        names = request.methods if request.options.method else ("airbench",)
        methods = tuple(_by_recipe(name, recipe) for name in names)
        study, request = replace(study, baseline=methods[0], reported={}), replace(request, methods=methods)
    if request.options.validate:
        request = _on_validation_images(study, request)
    measured = measure(plan(study, request), request)
    compared = report(study, request, measured)
    folder = request.out / study.name
    matrices = pooled(measured.by_method, request.out)
    scores, lines = details(matrices)
    timed, timed_lines = runs(measured.by_method)
    with cli.writing(folder):
        paths = pictures(measured.by_method, matrices, folder)
    document = {
        **compared.document,
        "figures": [*compared.document["figures"], *paths],
        "details": scores,
        "runs": timed,
    }
    text = [compared.text, f"by class: {', '.join(paths)}", "", *lines, "", *timed_lines]
    return Report(document, "\n".join(text).rstrip())


def _by_recipe(name: str, recipe: str) -> str:
    """Return a method with its network's switches alone, and the recipe for all else."""
    specification = parse(name)
    if specification.recipe is None:
        raise UsageError(f"--recipe is for networks, and '{name}' is none")
    return str(replace(specification, recipe=recipe, training=()))


def _on_validation_images(study: Study, request: Request) -> Request:
    """Return the request on tuning tasks, which are measured on training images set apart."""
    seeds = request.seeds or range(study.seeds)
    if seeds.stop > TUNING:
        raise UsageError(f"--validate takes seeds below {TUNING}")
    return replace(request, seeds=range(TUNING + seeds.start, TUNING + seeds.stop), curves=True)


STUDY = Study(
    name="full",
    question="How accurate are these networks with all the images? The reports' recipes, and good ones. "
    "Choices are made with --validate; the test images are looked at once, after the last epoch.",
    tag="full",
    baseline="lenet",
    groups={"optimizers": "optimizers", "reports": "full-reports", "whole": "whole", "long": "full-long"},
    seeds=1,
    protocol="full",
    reported_protocol=Protocol("full", None, prior="natural"),
    notes="""
  NETWORK:recipe=whole,…   any network by the good recipe: 30 epochs of Nesterov, one-cycle, crops, cutout,
                           label smoothing, bfloat16; more epochs=N bring more, and networks without
                           normalisation want learning_rate=0.05
  NETWORK:recipe=whole-long  the same in 120 epochs, the decay for kernels alone; the reports' networks by it
                           are the group 'long': resnet18-long, vgg16-long, mobilenetv2-long, short-long
""",
    options=add_options,
    answer=answer,
)
main = STUDY.main
