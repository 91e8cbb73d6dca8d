"""Speed, side by side in one run."""

from experiments.benchmark.command import main

__all__ = ["main"]
