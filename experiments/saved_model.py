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
        help="an answer whose probability is below this is 'unsure' (default: %(default)s)",
    )


def add_unknown(parser: cli.Parser) -> None:
    """Add --unknown."""
    parser.add_argument(
        "--unknown",
        type=int,
        choices=RULES,
        help=f"'{UNKNOWN}' are photos that resemble the most similar training photos too little: so little "
        "that of 100 photos of the known classes no more than so many are called so (default: 5; 0: none is)",
    )


def rules(saved: Saved, threshold: float) -> list[str]:
    """Return what the words beside an answer mean, and what decides it, a line each."""
    return [
        f"unsure: a probability below {100 * threshold:g} % (--threshold {threshold:g})",
        *([_or(saved.coverage)] if saved.coverage else []),
        f"{UNKNOWN}: {_unknown(saved)}",
    ]


def _or(coverage: float) -> str:
    return f"(or …): with these, the right class is among those named for {100 * coverage:g} of 100 photos"


def _unknown(saved: Saved) -> str:
    if not saved.tells_unknown:
        return "this model cannot tell"
    if saved.refused is None:  # an older card, which does not say
        return "too unlike the most similar training photos"
    if saved.refused == 0:
        return "not asked (--unknown 0)"
    percent = round(100 * saved.refused)
    return (
        f"less like the most similar training photos than {100 - percent} of 100 photos of the known classes "
        f"are (--unknown {percent})"
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
