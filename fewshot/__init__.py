"""Image classification with very little data: tasks, learners, a fair testbed, honest numbers.

    import fewshot as fs

    results = fs.run(["baseline", "flip", "ridge"], data="cifar10", seeds=10)  # the first is the baseline
    results.table()                      # mean ± std, paired differences, p values
    results.plot("accuracy")             # a matplotlib figure
    fs.compare("path/to/photos", budget="10m")     # which strategy is best for these photos?

What is named in `__all__` is public; it is imported at its first use, so that importing this package costs
next to nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewshot.api.classifier import FewShotClassifier
    from fewshot.api.compare import Comparison, compare
    from fewshot.api.data import Data, load
    from fewshot.api.methods import methods
    from fewshot.api.model import Model, export, load_model
    from fewshot.api.register import (
        register_backbone,
        register_dataset,
        register_estimator,
        register_learner,
        register_network,
        register_offline,
        register_online,
        register_optimizer,
        register_protocol,
        register_recipe,
        register_tracker,
    )
    from fewshot.api.results import Results
    from fewshot.api.run import run
    from fewshot.errors import FewshotError, UsageError
    from fewshot.learners.contract import Learner
    from fewshot.training.recipe import Recipe
    from fewshot.trials.plan import Machine

__version__ = "0.2.0"

__all__ = [
    "Comparison",
    "Data",
    "FewShotClassifier",
    "FewshotError",
    "Learner",
    "Machine",
    "Model",
    "Recipe",
    "Results",
    "UsageError",
    "__version__",
    "compare",
    "export",
    "load",
    "load_model",
    "methods",
    "register_backbone",
    "register_dataset",
    "register_estimator",
    "register_learner",
    "register_network",
    "register_offline",
    "register_online",
    "register_optimizer",
    "register_protocol",
    "register_recipe",
    "register_tracker",
    "run",
]

# Defaults that must stand before Keras or albumentations is first imported, wherever that happens.
os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# A notebook hands it on to the programs that it starts, whose Python may lack it.
_PICTURES = os.environ.get("MPLBACKEND", "").removeprefix("module://").partition(".")[0]
if "://" in os.environ.get("MPLBACKEND", "") and importlib.util.find_spec(_PICTURES or "?") is None:
    del os.environ["MPLBACKEND"]

_MODULES = {
    "Comparison": "fewshot.api.compare",
    "compare": "fewshot.api.compare",
    "Data": "fewshot.api.data",
    "FewShotClassifier": "fewshot.api.classifier",
    "FewshotError": "fewshot.errors",
    "Learner": "fewshot.learners.contract",
    "Machine": "fewshot.trials.plan",
    "Model": "fewshot.api.model",
    "Recipe": "fewshot.training.recipe",
    "Results": "fewshot.api.results",
    "UsageError": "fewshot.errors",
    "export": "fewshot.api.model",
    "load": "fewshot.api.data",
    "load_model": "fewshot.api.model",
    "methods": "fewshot.api.methods",
    "run": "fewshot.api.run",
    **{name: "fewshot.api.register" for name in __all__ if name.startswith("register_")},
}
_FOLDERS = ("compare", "methods")  # of this package, and functions: the name stands for the function


class _Folder(types.ModuleType):
    """A folder whose name stands for a function: what is imported below it is an attribute of both."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        function = globals().get(self.__name__.rpartition(".")[2])
        if function is not None and isinstance(value, types.ModuleType):
            setattr(function, name, value)


class _Package(types.ModuleType):
    """This package: the import of a folder, which would set it as an attribute, hides no function."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _FOLDERS and isinstance(value, types.ModuleType):
            value.__class__ = _Folder
        else:
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'fewshot' has no attribute '{name}'")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    if name in _FOLDERS:  # `fewshot.compare.run` is a module, as ever
        folder = importlib.import_module(f"fewshot.{name}")
        for part, module in vars(folder).items():
            if isinstance(module, types.ModuleType):
                setattr(value, part, module)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
