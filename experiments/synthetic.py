"""Do images that a GAN makes of 100 training images help a classifier?

python -m experiments.synthetic --updates 500
python -m experiments.synthetic --classifier best lite --method gan gan-agree --updates 400
python -m experiments.synthetic --classifier report --method gan --splits 50
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace

from experiments.study import Report, Request, Study, measure, plan_learners, report
from fewshot import cli, settings
from fewshot.io.files import slug
from fewshot.methods.catalogue import methods
from fewshot.methods.specification import canonical_name, parse
from fewshot.methods.specification import published as published_result

REAL = "real"  # the mixture of the task's images alone


def add_options(parser: cli.Parser) -> None:
    """Add the classifiers, and the report's word for seeds."""
    parser.add_argument(
        "--classifier",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="who is trained: any method, such as baseline, best, lite-logistic, "
        f"{', '.join(method.name for method in methods.tagged('classifier'))}; report (the last eight) "
        "(default: baseline)",
    )
    parser.add_argument("--splits", dest="seeds", type=cli.seeds, metavar="N", help="the same as --seeds")


def answer(study: Study, request: Request) -> Report:
    """Compare the mixtures under every classifier, each against that classifier's own `real`."""
    classifiers = _classifiers(request.options.classifier or ["baseline"])
    mixes = study.with_baseline(request.methods)
    training = request.training.fields()
    learners = {
        _joined(classifier, mix): parse(_specification(classifier, mix)).learner(training)
        for classifier in classifiers
        for mix in mixes
    }
    measured = measure(plan_learners(study, request, learners), request)
    parts = {}
    for classifier in classifiers:
        under_it = measured.only({mix: _joined(classifier, mix) for mix in mixes})
        published = {mix: published_result(_specification(classifier, mix)) for mix in mixes}
        known = replace(study, reported={mix: text for mix, text in published.items() if text})
        parts[classifier] = report(known, request, under_it, slug(classifier))
    document = {"study": study.name, "classifiers": {name: part.document for name, part in parts.items()}}
    return Report(document, "\n\n".join(f"{name}\n{part.text}" for name, part in parts.items()))


def _classifiers(names: list[str]) -> list[str]:
    """Return the classifiers, each once; "report" stands for all of the report's."""
    named = (_reports() if name == "report" else [canonical_name(name)] for name in names)
    return list(dict.fromkeys(itertools.chain(*named)))


def _reports() -> list[str]:
    return [method.name for method in methods.tagged("synthetic-report")]


def _joined(classifier: str, mix: str) -> str:
    return f"{classifier} {mix}"


def _specification(classifier: str, mix: str) -> str:
    """Return the method that a classifier with a mixture is: names, or settings of one's own."""
    text = str(parse(classifier))
    if mix == REAL:
        return text
    known = {method.name: method.specification for method in methods.tagged("synthetic")}
    name, given = settings.split(text)
    _, further = settings.split(known.get(mix, f":{mix}"))
    return settings.join(name, given | further)


STUDY = Study(
    name="synthetic",
    question="Do images that a GAN makes of 100 training images help a classifier? For each task generators "
    "are trained on its training images only, and kept; classifiers then train on real and synthetic images.",
    tag="synthetic",
    baseline=REAL,
    method_name=str,
    notes="""
  synthetic=N,…   a mixture of your own: gan=PRESET (of gan.train), offline=flip, real=no, share=0.5,
      keep=agree
  Give --updates: twenty times the images are twenty times the updates otherwise.
""",
    options=add_options,
    answer=answer,
)
main = STUDY.main

if __name__ == "__main__":
    sys.exit(main())
