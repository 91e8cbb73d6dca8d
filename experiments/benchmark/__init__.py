"""Speed, side by side in one run, and what else is measured once to be built in."""

from __future__ import annotations

from experiments.benchmark.command import main

__all__ = ["main"]
