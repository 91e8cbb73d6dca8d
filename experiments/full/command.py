"""How accurate are these networks with all the images? The reports' recipes, and good ones.

python -m experiments.full --method lenet resnet18-whole --seeds 3
python -m experiments.full --method optimizers --limit-train 10000 --epochs 5 --validate
KERAS_BACKEND=jax python -m experiments.full --recipe speedrun --seeds 10 --device gpu
"""

from dataclasses import replace

from experiments.full.details import details, pictures, pooled
from experiments.study import Report, Request, Study, listed, measure, plan, report
from fewshot import cli, settings
from fewshot.data.protocols import TUNING, Protocol
from fewshot.errors import UsageError
from fewshot.methods.grammar import FIELDS
from fewshot.training.recipe import recipes

RATES, OPTIMIZERS = (0.1, 0.01), ("sgd", "adam", "adadelta")
MLP_REPORT = "policy=shift-crop+flip+rotation+color-jitter+erasing,optimizer=adamw,learning_rate=0.001"
OPTIMIZER_TABLE = {
    f"short-{optimizer}-{rate}": (
        f"mobilenetv2-short:optimizer={optimizer},learning_rate={rate},epochs=20,weight_decay=0",
        f"the fast-response report's MobileNetV2: {optimizer}, rate {rate}",
    )
    for optimizer in OPTIMIZERS
    for rate in RATES
}
REPORTS = {
    "lenet": (
        "lenet5:optimizer=adam,learning_rate=0.001,epochs=20,weight_decay=0",
        "LeNet-5 with sigmoids, Adam, rate .001 (fast response)",
    ),
    "lecture": (
        "lecture-net:learning_rate=0.001,batch=4,epochs=2,weight_decay=0",
        "the lecture's net, SGD, rate .001, two epochs of batches of four",
    ),
    "resnet34-sgd": ("resnet34:learning_rate=0.1,epochs=20", "ResNet-34, SGD, rate .1 (fast response)"),
    **OPTIMIZER_TABLE,
    "resnet18-step": (
        "resnet18:learning_rate=0.1,schedule=step,epochs=20",
        "ResNet-18 with StepLR (baselines)",
    ),
    "vgg16-slow": (
        "vgg16:optimizer=adam,learning_rate=0.0001,epochs=20,weight_decay=0",
        "VGG-16, rate .0001 (baselines)",
    ),
    "mlp-report": (
        f"mlp:{MLP_REPORT},batch=64,epochs=25,weight_decay=0.01",
        "the MLP, AdamW, batch 64, five augmentations",
    ),
    "mobilenetv2-224": (
        f"mobilenetv2:size=224,{MLP_REPORT},batch=16,epochs=25,weight_decay=0.01",
        "MobileNetV2 at 224 pixels, batch 16",
    ),
}
WHOLE = {
    "lenet-whole": (
        "lecture-net:recipe=whole,learning_rate=0.05,label_smoothing=0,policy=flip+shift-crop",
        "LeNet with ReLU and max-pooling, trained well",
    ),
    "mlp-whole": ("mlp:dropout=0.1,recipe=whole,learning_rate=0.05,policy=flip+shift-crop", "the MLP"),
    "resnet18-whole": ("resnet18:recipe=whole", "ResNet-18"),
    "vgg16-whole": ("vgg16:norm=batch,recipe=whole,learning_rate=0.05", "VGG-16 with BatchNorm"),
    "short-whole": ("mobilenetv2-short:recipe=whole", "the shortened MobileNetV2"),
    "speedrun": ("airbench:recipe=speedrun", "94 % in the least time: 14 epochs of airbench94's network"),
    "mobilenetv2-whole": ("mobilenetv2:recipe=whole", "MobileNetV2"),
}
REPORTED = {
    "lenet": "63",
    "resnet34-sgd": "75.5",
    "short-sgd-0.1": "66.56",
    "short-sgd-0.01": "83.27",
    "short-adam-0.1": "28.95",
    "short-adam-0.01": "82.07",
    "short-adadelta-0.1": "76.25",
    "short-adadelta-0.01": "62.67",
    "resnet18-step": "50.71",
    "vgg16-slow": "51.47",
    "mlp-report": "42 (validation)",
    "mobilenetv2-224": "90",
}


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
        methods = tuple(_by_recipe(study, name, recipe) for name in names)
        study, request = replace(study, baseline=methods[0], reported={}), replace(request, methods=methods)
    if request.options.validate:
        request = _on_validation_images(study, request)
    measured = measure(plan(study, request), request)
    compared = report(study, request, measured)
    folder = request.out / study.name
    matrices = pooled(measured.by_method, request.out)
    scores, lines = details(matrices)
    with cli.writing(folder):
        paths = pictures(measured.by_method, matrices, folder)
    document = {
        **compared.document,
        "figures": [*compared.document["figures"], *paths],
        "details": scores,
    }
    return Report(document, "\n".join([compared.text, f"by class: {', '.join(paths)}", "", *lines]))


def _by_recipe(study: Study, name: str, recipe: str) -> str:
    """Return a method with its network's switches alone, and the recipe for all else."""
    method, given = settings.split(name)
    network, fixed = settings.split(study.specs.get(method, method))
    switches = {key: value for key, value in (fixed | given).items() if key not in (*FIELDS, "recipe")}
    return settings.join(network, switches | {"recipe": recipe})


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
    **listed(REPORTS | WHOLE),
    baseline="lenet",
    groups={"optimizers": tuple(OPTIMIZER_TABLE), "reports": tuple(REPORTS), "whole": tuple(WHOLE)},
    reported=REPORTED,
    seeds=1,
    protocol="full",
    reported_protocol=Protocol("full", None),
    notes="""
  NETWORK:recipe=whole,…   any network by the good recipe: 30 epochs of Nesterov, one-cycle, crops, cutout,
                           label smoothing, bfloat16; more epochs=N bring more, and networks without
                           normalisation want learning_rate=0.05
""",
    options=add_options,
    answer=answer,
)
main = STUDY.main
