"""The presets that the installed KerasHub knows by name, as its sources list them.

KerasHub is not imported: that starts Keras, before anybody has said with how many threads.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot.backbones.hub.families import FAMILIES
from fewshot.backbones.hub.names import PREFIX, SHORT, is_address, is_remote, target
from fewshot.errors import UsageError, unknown


@dataclass(frozen=True)
class Known:
    """A preset that KerasHub knows by name.

    Parameters
    ----------
    name : of the preset.
    handle : its address, `kaggle://…` or `hf://…`.
    family : a key of `FAMILIES`.
    parameters : how many the network has; 0 where KerasHub does not say.
    """

    name: str
    handle: str
    family: str
    parameters: int


def known(name: str) -> Known | None:
    """Return the preset that a backbone's name stands for.

    Returns
    -------
    The preset; None for a folder, and for an address that KerasHub does not list.

    Raises
    ------
    UsageError
        For a name that KerasHub does not have, or has for something else than images.
    """
    text, presets = target(name), _presets()
    if not is_remote(name):
        return None
    listed = next((preset for preset in presets if text in (preset.name, preset.handle)), None)
    if listed is None and not is_address(name):
        if kind := _of_another_kind(text):
            raise UsageError(f"'{text}' is a preset of another kind, '{kind}', not of images")
        raise unknown("backbone", name, [*SHORT, *(PREFIX + preset.name for preset in presets)])
    return listed


@functools.cache
def _presets() -> tuple[Known, ...]:
    """Return the presets of images."""
    return tuple(
        Known(preset, entry["kaggle_handle"], name, int(entry["metadata"].get("params", 0)))
        for name, family in FAMILIES.items()
        for preset, entry in _listed(family.presets).items()
    )


def _listed(kind: str) -> dict[str, Any]:
    """Return the table of presets of one kind; empty where there is none."""
    path = _models() / kind / f"{kind}_presets.py"
    tables: dict[str, Any] = {}
    try:
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign) and "presets" in ast.unparse(statement.targets[0]):
                tables |= ast.literal_eval(statement.value)
    except (OSError, ValueError, SyntaxError, TypeError):  # another version of KerasHub
        return {}
    return tables


def _of_another_kind(preset: str) -> str | None:
    """Return the kind of a preset that is not of images; None for no preset."""
    for folder in sorted(_models().iterdir()):
        if preset in _listed(folder.name):
            return folder.name
    return None


def _models() -> Path:
    """Return the folder of KerasHub's sources that has a folder for each kind of model."""
    package = importlib.util.find_spec("keras_hub")
    assert package is not None  # `fewshot.backbones.hub.need` has been called
    assert package.submodule_search_locations is not None  # it is a package
    return Path(package.submodule_search_locations[0]) / "src" / "models"
