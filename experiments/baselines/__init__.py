"""Nearest neighbours, class means and networks in NumPy on whole datasets."""

from __future__ import annotations

from experiments.baselines.command import main

__all__ = ["main"]
