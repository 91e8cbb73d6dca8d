"""Speed, side by side in one run, and what else is measured once to be built in."""

from experiments.benchmark.command import main

__all__ = ["main"]
