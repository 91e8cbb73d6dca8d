"""The command `fewshot`, also as `python -m experiments`: its sub-commands, each a module of its own."""

from __future__ import annotations

import sys

from fewshot.cli.main import Command, Front

FRONT = Front(
    begin="""\
With about 100 labelled images: what works? Begin with your photos, a folder for each class:
    {prog} compare --data path/to/photos --budget 10m
or with a study of images that need no download:
    {prog} augment --data digits --method flip --quick""",
    groups={
        "from photos to an answer": (
            Command("experiments.compare", "which strategy for my photos"),
            Command("experiments.predict", "what is on these photos"),
            Command("experiments.try_", "drop photos on a model"),
            Command("experiments.next", "which photos to label next"),
            Command("experiments.explore", "what is in a dataset"),
            Command("experiments.report", "all results on one page"),
        ),
        "studies": (
            Command("experiments.augment", "which augmentation helps"),
            Command("experiments.cnn", "which changes to a small CNN"),
            Command("experiments.zoo", "which architecture"),
            Command("experiments.finetune", "pretrained on ImageNet"),
            Command("experiments.transfer", "pretrained on other classes"),
            Command("experiments.synthetic", "do a GAN's images help"),
            Command("experiments.baselines_few_shot", "classical learners"),
            Command("experiments.full", "networks, with all images"),
            Command("experiments.baselines", "classical, with all images"),
            Command("experiments.search", "how 'best' was found"),
        ),
        "what there is, and GANs": (
            Command("experiments.models", "the networks and their cost"),
            Command("experiments.methods", "all methods by name"),
            Command("experiments.benchmark", "how fast, beside others"),
            Command("gan.train", "train a GAN"),
            Command("gan.generate", "draw images from it"),
            Command("experiments.gans", "which GAN is better"),
        ),
    },
)
main = FRONT.main

if __name__ == "__main__":
    sys.exit(main())
