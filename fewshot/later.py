"""A package that is imported at its first use: help needs no NumPy, and shows a third sooner without it.

`importlib.util.LazyLoader` will not do: the second `import` of a module looks at its `__spec__`, which loads
it.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import cast


class _Later(ModuleType):
    def __getattr__(self, name: str) -> object:
        spec = cast(ModuleSpec, self.__spec__)
        self.__class__ = ModuleType
        self.__path__ = spec.submodule_search_locations
        cast(Loader, spec.loader).exec_module(self)
        return getattr(self, name)


def import_later(package: str) -> None:
    """Let `import package` cost nothing until an attribute or a part of it is asked for.

    Only for a program's first lines, while it has one thread. What is imported already stays as it is.
    """
    spec = None if package in sys.modules else find_spec(package)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    module.__class__ = _Later
    del module.__path__  # so that the import of a part loads the package first
    sys.modules[package] = module
