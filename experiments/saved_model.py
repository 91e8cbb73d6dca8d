"""What commands for a saved model share: its arguments, how it is opened, how photos are named."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot import backend, cli
from fewshot.errors import UsageError
from fewshot.machine import cores

if TYPE_CHECKING:
    from fewshot.deploy.saved import Saved

UNKNOWN = "none of these"
RULES = (0, 1, 2, 5, 10, 20)


def add_model(parser: cli.Parser) -> None:
    """Add MODEL."""
    parser.add_argument(
        "model", type=cli.path, metavar="MODEL", help="NAME.keras, with its card NAME.json beside it"
    )


def add_threshold(parser: cli.Parser) -> None:
    """Add --threshold."""
    parser.add_argument(
        "--threshold",
        type=cli.share,
        default=0.8,
        metavar="P",
        help="below this probability the answer is 'unsure' (default: %(default)s)",
    )


def add_unknown(parser: cli.Parser) -> None:
    """Add --unknown."""
    parser.add_argument(
        "--unknown",
        type=int,
        choices=RULES,
        help=f"the rule for '{UNKNOWN}', by the distance from the training photos: of 100 photos of the "
        "known classes, so many are called so (default: 5; 0: none is)",
    )


def check_model(args: argparse.Namespace) -> None:
    """Raise `UsageError` where there is no such file: known before TensorFlow is imported."""
    if not Path(args.model).is_file():
        raise UsageError(f"no such model: {args.model}")


def open_model(args: argparse.Namespace) -> Saved:
    """Start the backend and return the model; `UsageError` where it is missing, foreign or unsafe."""
    check_model(args)
    backend.start(args.threads or cores(), backend.resolve_device(args.device))
    from fewshot.deploy.saved import load

    saved = load(args.model)
    rule = getattr(args, "unknown", None)
    return saved if rule is None else saved.refusing(rule)
