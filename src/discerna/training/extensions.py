"""A user's own loggers and callbacks, named by `_target_` in his own settings.

Only classes that derive from Lightning's Logger or Callback are made; what else a name leads to is refused, because
a list of forbidden names never ends.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from discerna.errors import MissingExtraError, SettingsError

T = TypeVar("T")

EXTRAS = {"TensorBoardLogger": ("tensorboard", "tensorboard")}
"""Classes that need a package of an extra: (package, extra)."""


def build_loggers(own: Mapping[str, Mapping[str, Any]], run: Path) -> list[Logger]:
    """The loggers of `logger.own`."""
    return [_build(Logger, f"logger.own.{name}", values, run) for name, values in own.items()]  # type: ignore[type-abstract]


def build_callbacks(own: Mapping[str, Mapping[str, Any]], run: Path) -> list[Callback]:
    """The callbacks of `callbacks`."""
    return [_build(Callback, f"callbacks.{name}", values, run) for name, values in own.items()]


def _build(kind: type[T], key: str, values: Mapping[str, Any], run: Path) -> T:
    if not isinstance(values.get("_target_"), str):
        raise SettingsError(
            "a class is not named",
            where=key,
            accepted=f"{key}._target_ is the path of a class, such as my_module.My{kind.__name__}",
        )
    target = values["_target_"]
    cls = _find(target, key)
    if not (isinstance(cls, type) and issubclass(cls, kind)):
        raise SettingsError(
            f"not a {kind.__name__} of Lightning",
            where=f"{key}._target_={target}",
            accepted=f"a class that derives from lightning.pytorch's {kind.__name__}",
        )
    arguments = {name: _placed(value, run) for name, value in values.items() if name != "_target_"}
    try:
        return cls(**arguments)
    except ModuleNotFoundError as error:
        package, extra = EXTRAS.get(cls.__name__, (error.name or target, ""))
        if extra:
            raise MissingExtraError.of(package, extra, key) from None
        raise SettingsError("a package is missing", where=f"{key}: {error}", remedy="install it") from None
    except (TypeError, ValueError) as error:
        raise SettingsError(
            "the arguments do not fit", where=f"{key} ({target})", accepted=str(error)
        ) from None


def _find(target: str, key: str) -> Any:
    module, _, name = target.rpartition(".")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # a user's module lies beside his pictures, as with python -m
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(
            "a class cannot be imported", where=f"{key}._target_={target}", accepted=str(error)
        ) from None


def _placed(value: Any, run: Path) -> Any:
    return value.replace("{run}", str(run)) if isinstance(value, str) else value
