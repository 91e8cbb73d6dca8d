"""Classifiers trained on whole datasets."""

from experiments.full.command import main

__all__ = ["main"]
