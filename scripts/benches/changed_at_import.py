"""A module that is changed as soon as it is imported: importing it earlier would be measured otherwise."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from typing import Any


def at_import(name: str, then: Callable[[Any], None]) -> None:
    """Change a module as soon as it is imported, and not before."""

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, wanted: str, path: Any = None, target: Any = None) -> Any:
            if wanted != name:
                return None
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(name)
            assert spec is not None and spec.loader is not None
            load = spec.loader.exec_module

            def load_and_change(module: Any) -> None:
                load(module)
                then(module)

            spec.loader.exec_module = load_and_change  # type: ignore[method-assign]
            return spec

    sys.meta_path.insert(0, Finder())
