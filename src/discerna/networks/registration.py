"""Networks of a user's own: by `register` in a module of theirs, or by an installed package's entry point.

Light on purpose: a command may import the user's modules before it knows whether it needs torch.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from discerna.errors import DiscernaError, SettingsError

ENTRY_POINTS = "discerna.networks"
"""The entry point group; an entry's name is the network's name, its object the builder."""

DEFAULT_IMAGE_SIZE = 224

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

Builder = Callable[..., Any]
"""`builder(num_labels, **arguments) -> torch.nn.Module`."""

B = TypeVar("B", bound=Builder)


@dataclass(frozen=True)
class OwnNetwork:
    """A network that a user registered."""

    name: str
    builder: Builder
    image_size: int
    origin: str


_registered: dict[str, OwnNetwork] = {}


@overload
def register(name: str, builder: B, *, image_size: int = DEFAULT_IMAGE_SIZE) -> B: ...


@overload
def register(name: str, *, image_size: int = DEFAULT_IMAGE_SIZE) -> Callable[[B], B]: ...


def register(name: str, builder: Any = None, *, image_size: int = DEFAULT_IMAGE_SIZE) -> Any:
    """Make `builder(num_labels, **arguments)` available as the network `name`; also a decorator."""
    if builder is None:
        return lambda decorated: register(name, decorated, image_size=image_size)
    origin = f"{getattr(builder, '__module__', '?')}.{getattr(builder, '__qualname__', '?')}"
    where = f"register({name!r}) of {origin}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SettingsError(
            "a network's name cannot be used", where=where, accepted="letters, digits and the signs _ . -"
        )
    if not callable(builder):
        raise SettingsError(
            "a network's builder cannot be called", where=where, accepted="builder(num_labels, **arguments)"
        )
    if type(image_size) is not int or image_size < 1:
        raise SettingsError(
            "wrong value", where=f"{where}, image_size={image_size!r}", accepted="it is 1 or more"
        )
    _refuse_taken(name, where)
    _registered[name] = OwnNetwork(name, builder, image_size, origin)
    return builder


def _refuse_taken(name: str, where: str) -> None:
    from torchvision import models  # here, because importing this module must stay cheap

    if name in models.list_models(module=models):
        owner = "torchvision"
    elif name in _registered:
        owner = _registered[name].origin
    else:
        return
    raise SettingsError(
        "a network's name is taken", where=where, accepted=f"{owner} has it", remedy="register another name"
    )


def own_names() -> list[str]:
    """The names of all networks that a user brought, sorted; loads none of them."""
    return sorted({*_registered, *(entry.name for entry in _entries())})


def own_network(name: str) -> OwnNetwork | None:
    """The user's network of that name, its entry point loaded; None where there is none."""
    entries = [entry for entry in _entries() if entry.name == name]
    if name in _registered:
        origins = [_registered[name].origin, *(entry.value for entry in entries)]
    else:
        origins = [entry.value for entry in entries]
    if len(origins) > 1:
        raise SettingsError(
            "two networks have one name",
            where=name,
            accepted=" and ".join(origins),
            remedy="rename one, or uninstall its package",
        )
    if name in _registered:
        return _registered[name]
    return _loaded(entries[0]) if entries else None


def _entries() -> list[Any]:
    from importlib.metadata import entry_points

    return list(entry_points(group=ENTRY_POINTS))


def _loaded(entry: Any) -> OwnNetwork:
    where = f"entry point {entry.name} = {entry.value}"
    try:
        builder = entry.load()
    except Exception as error:  # a foreign package may raise anything
        raise SettingsError(
            "a network's package cannot be imported",
            where=where,
            accepted=_reason(error),
            remedy="mend or uninstall the package",
        ) from error
    if not callable(builder):
        raise SettingsError(
            "a network's builder cannot be called", where=where, accepted="builder(num_labels, **arguments)"
        )
    return OwnNetwork(entry.name, builder, DEFAULT_IMAGE_SIZE, entry.value)


def import_user_modules(modules: Iterable[str]) -> None:
    """Import the modules of the setting `networks.modules`, which register networks as they load."""
    modules = list(modules)
    if modules and os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path holds texts
        # At the end: a file of the user's called like a library must not take the library's place.
        sys.path.append(os.getcwd())  # noqa: PTH109
    for module in modules:
        where = f"networks.modules={module}"
        if not all(part.isidentifier() for part in module.split(".")):
            raise SettingsError(
                "not a module's name",
                where=where,
                accepted="names as in an import statement, such as my_nets or my_package.nets",
                remedy="leave out the folder and .py, and start discerna where the module lies",
            )
        try:
            importlib.import_module(module)
        except DiscernaError:
            raise
        except Exception as error:  # a user's module may raise anything
            raise SettingsError(
                "a module of networks cannot be imported",
                where=where,
                accepted=_reason(error),
                remedy="mend the module, or start discerna where it lies",
            ) from error


def _reason(error: Exception) -> str:
    """The error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
