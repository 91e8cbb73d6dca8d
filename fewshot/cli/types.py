"""What options take: whole numbers, seeds, times, addresses; each says in one line what it wants."""

from __future__ import annotations

import argparse
import os
import re

from fewshot.arguments import MOST_SEED, MOST_THREADS
from fewshot.compare import clock
from fewshot.errors import UsageError

LONGEST_NAME = 255  # bytes, in every file system


def path(text: str) -> str:
    """Return a path, `~` and `~user` replaced where the shell has left them: `--out=~/results`."""
    if "\0" in text or max(len(os.fsencode(part)) for part in text.split(os.sep)) > LONGEST_NAME:
        raise argparse.ArgumentTypeError(f"wants a path. Received: '{text:.40}…'")
    return os.path.expanduser(text)


def positive(text: str) -> int:
    """Parse a whole number above 0."""
    return _whole(text, 1, "a whole number above 0")


def machines(text: str) -> int:
    """Parse how many threads or processes: a whole number above 0 that some machine has."""
    return _whole(text, 1, f"a whole number from 1 to {MOST_THREADS:,}", MOST_THREADS)


def picture(text: str) -> str:
    """Parse the path of a PNG file."""
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"wants the name of a picture, such as grid.png. Received: '{text}'")
    return path(text)


def seed(text: str) -> int:
    """Parse a whole number, 0 or more, that NumPy takes for a seed."""
    return _whole(text, 0, "a whole number, 0 or more, below 2³²")


def _whole(text: str, least: int, wanted: str, most: int = MOST_SEED) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"wants {wanted}. Received: '{text}'")
    return number


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"wants a number from 0 to 1. Received: '{text}'")
    return number


def seconds(text: str) -> float:
    """Parse a time: `90`, `90s`, `20m` or `1.5h`."""
    try:
        return clock.seconds(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(f"{clock.WANTED}. Received: '{text}'") from error


def cluster(text: str) -> str:
    """Parse `local` or the address of a Dask scheduler."""
    if text == "local" or re.fullmatch(r"[a-z]+://.+:\d+", text):
        return text
    raise argparse.ArgumentTypeError(
        f"wants local or an address such as tcp://10.0.0.1:8786. Received: '{text}'"
    )


def seeds(text: str) -> range:
    """Parse `10` (seeds 0 to 9) or `10-19`."""
    first, dash, last = text.partition("-")
    if dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last) <= MOST_SEED:
        return range(int(first), int(last) + 1)
    if text.isdecimal() and 0 < int(text) <= MOST_SEED:
        return range(int(text))
    raise argparse.ArgumentTypeError(
        f"wants a number of seeds above 0 (10) or a range (10-19), below 2³². Received: '{text}'"
    )
