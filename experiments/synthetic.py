"""Do images that a GAN makes of 100 training images help a classifier?

python -m experiments.synthetic --updates 500
python -m experiments.synthetic --classifier best lite --method gan gan-agree --updates 400
python -m experiments.synthetic --classifier report --method gan --splits 50
"""

import sys
from collections.abc import Mapping
from dataclasses import replace

from experiments.study import Report, Request, Study, measure, plan_learners, report
from fewshot import cli, settings
from fewshot.io.files import slug
from fewshot.methods.grammar import learner

REAL = "real"
MIXES = {
    REAL: ("", "the task's 100 images alone"),
    "gan": ("synthetic=1000", "and 1000 synthetic images a class, as in the report"),
    "gan-200": ("synthetic=200", "and 200 a class"),
    "gan-50": ("synthetic=50", "and 50 a class"),
    "gan-half": ("synthetic=1000,share=0.5", "and 1000 a class, the real ones repeated to make up half"),
    "gan-agree": (
        "synthetic=1000,keep=agree",
        "those that the classifier, trained on the real ones, agrees with",
    ),
    "gan-only": ("synthetic=1000,real=no", "1000 synthetic images a class and no real ones"),
    "gan-report": ("synthetic=1000,gan=report", "by the report's DCGAN"),
    "expand": ("expansion=flip", "the images and their mirror images"),
    "expand-gan": (
        "expansion=flip,synthetic=1000",
        "the report's scheme: generators see the enlarged set, too",
    ),
}
KERAS = "keras-cnn:batch=32,weight_decay=0"
TRAINED = {
    "adam": f"{KERAS},optimizer=adam,learning_rate=0.001",
    "sgd": f"{KERAS},learning_rate=0.01",
}
REPORT_EPOCHS = (7, 15, 30, 45)
REPORTS = {
    f"{name}-{epochs}": f"{spec},epochs={epochs}"
    for name, spec in TRAINED.items()
    for epochs in REPORT_EPOCHS
}
CLASSIFIERS = {
    "baseline": "baseline",
    "best": "compact:recipe=best",
    "lite": "imagenet/efficientnet-lite0@160:head=logistic",
    **TRAINED,
    **REPORTS,
}
REPORTED = {
    "adam-7": {REAL: "66 ± 2", "gan": "72 ± 3"},
    "adam-15": {REAL: "79 ± 4", "gan": "74 ± 3"},
    "adam-30": {REAL: "81", "gan": "74"},
    "sgd-7": {REAL: "50 ± 4"},
    "sgd-15": {REAL: "56 ± 2"},
    "sgd-30": {REAL: "52"},
}


def add_options(parser: cli.Parser) -> None:
    """Add the classifiers, and the report's word for seeds."""
    parser.add_argument(
        "--classifier",
        nargs="+",
        action="extend",
        metavar="NAME",
        help=f"who is trained: {', '.join(CLASSIFIERS)}; report (the last eight); or what is "
        "registered, such as NETWORK:switches (default: baseline)",
    )
    parser.add_argument("--splits", dest="seeds", type=cli.seeds, metavar="N", help="the same as --seeds")


def answer(study: Study, request: Request) -> Report:
    """Compare the mixtures under every classifier, each against that classifier's own `real`."""
    classifiers = _classifiers(request.options.classifier or ["baseline"])
    mixes = study.with_baseline(request.methods)
    training = request.training.fields()
    learners = {
        _joined(classifier, mix): learner(_specification(classifier, mix), training)
        for classifier in classifiers
        for mix in mixes
    }
    measured = measure(plan_learners(study, request, learners), request)
    parts = {}
    for classifier in classifiers:
        under_it = measured.only({mix: _joined(classifier, mix) for mix in mixes})
        published = replace(study, reported=REPORTED.get(classifier, {}))
        parts[classifier] = report(published, request, under_it, slug(classifier))
    document = {"study": study.name, "classifiers": {name: part.document for name, part in parts.items()}}
    return Report(document, "\n\n".join(f"{name}\n{part.text}" for name, part in parts.items()))


def _classifiers(names: list[str]) -> list[str]:
    """Return the classifiers, each once; "report" stands for all of the report's."""
    return list(dict.fromkeys(n for name in names for n in (REPORTS if name == "report" else [name])))


def _joined(classifier: str, mix: str) -> str:
    return f"{classifier} {mix}"


def _specification(classifier: str, mix: str) -> str:
    """Return the method that a classifier with a mixture is: names, or settings of one's own."""
    name, given = settings.split(CLASSIFIERS.get(classifier, classifier))
    _, further = settings.split(f":{MIXES[mix][0] if mix in MIXES else mix}") if mix != REAL else ("", {})
    return settings.join(name, given | further)


def _methods() -> Mapping[str, str]:
    return {name: summary for name, (_, summary) in MIXES.items()}


STUDY = Study(
    name="synthetic",
    question="Do images that a GAN makes of 100 training images help a classifier? For each task generators "
    "are trained on its training images only, and kept; classifiers then train on real and synthetic images.",
    methods=_methods,
    baseline=REAL,
    notes="""
  synthetic=N,…   a mixture of your own: gan=PRESET (of gan.train), expansion=flip, real=no, share=0.5,
      keep=agree
  Give --updates: twenty times the images are twenty times the updates otherwise.
""",
    options=add_options,
    answer=answer,
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
