"""Classifiers on images that a GAN makes of a task's, and the few-shot report's classifiers."""

from __future__ import annotations

from fewshot.methods.catalogue import methods

for _name, _specification, _summary in (
    ("gan", "baseline:synthetic=1000", "and 1000 synthetic images a class, as in the report"),
    ("gan-200", "baseline:synthetic=200", "and 200 a class"),
    ("gan-50", "baseline:synthetic=50", "and 50 a class"),
    (
        "gan-half",
        "baseline:synthetic=1000,share=0.5",
        "and 1000 a class, the real ones repeated to make up half",
    ),
    (
        "gan-agree",
        "baseline:synthetic=1000,keep=agree",
        "those that the classifier, trained on the real ones, agrees with",
    ),
    ("gan-only", "baseline:synthetic=1000,real=no", "1000 synthetic images a class and no real ones"),
    ("gan-report", "baseline:synthetic=1000,gan=report", "by the report's DCGAN"),
    ("expand", "baseline:offline=flip", "the images and their mirror images"),
    (
        "expand-gan",
        "baseline:offline=flip,synthetic=1000",
        "the report's scheme: generators see the enlarged set, too",
    ),
):
    methods.define(_name, _specification, _summary, tags=("synthetic",))

methods.define(
    "synthetic",
    "baseline:synthetic=1000,keep=agree,epochs=30",
    "the small network (baseline), trained on generated images as well, those with which it agrees",
    tags=("compare",),
    cost_seconds=150,
)

_KERAS = "keras-cnn:batch=32,weight_decay=0"
_TRAINED = {"adam": f"{_KERAS},optimizer=adam,learning_rate=0.001", "sgd": f"{_KERAS},learning_rate=0.01"}
_PUBLISHED = {  # of real images, and of 1000 synthetic ones a class beside them
    "adam-7": ("66 ± 2", "72 ± 3"),
    "adam-15": ("79 ± 4", "74 ± 3"),
    "adam-30": ("81", "74"),
    "sgd-7": ("50 ± 4", None),
    "sgd-15": ("56 ± 2", None),
    "sgd-30": ("52", None),
}

for _optimizer, _specification in _TRAINED.items():
    methods.define(
        _optimizer,
        _specification,
        f"the report's classifier by {_optimizer}, 100 epochs",
        tags=("classifier",),
    )
for _optimizer, _specification in _TRAINED.items():
    for _epochs in (7, 15, 30, 45):
        _name = f"{_optimizer}-{_epochs}"
        _real, _with_gan = _PUBLISHED.get(_name, (None, None))
        _text = f"{_specification},epochs={_epochs}"
        _summary = f"the report's classifier by {_optimizer}, {_epochs} epochs"
        methods.define(
            _name,
            _text,
            _summary,
            tags=("classifier", "synthetic-report"),
            published={"testbed": _real} if _real else None,
        )
        if _with_gan:
            methods.define(
                f"{_name}-gan",
                f"{_text},synthetic=1000",
                f"{_summary}, and 1000 synthetic images a class",
                published={"testbed": _with_gan},
            )
