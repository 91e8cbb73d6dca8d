"""Classifiers trained on whole datasets."""

from __future__ import annotations

from experiments.full.command import main

__all__ = ["main"]
