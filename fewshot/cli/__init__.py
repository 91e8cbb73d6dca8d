"""The command line: option groups written once, errors of one line, the command `fewshot`.

`cli.add_data` and the other names come from modules that are imported when a name of theirs is
used: `fewshot --help` needs none of what options read.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "cli.options": (
        *("add_common", "add_data", "add_device", "add_draws", "add_jobs", "add_json", "add_machine"),
        *("add_methods", "add_out", "add_output", "add_seed", "add_seeds", "add_track", "add_training"),
        *("dataset", "draws", "machine"),
    ),
    "cli.parser": ("Parser", "as_json", "complete", "flag", "prog", "readable", "run"),
    "cli.types": ("cluster", "path", "picture", "positive", "seconds", "seed", "seeds", "share"),
    "io.files": ("writing", "writing_results"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"fewshot.{_MODULE_OF[name]}"), name)
