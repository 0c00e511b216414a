"""Which networks there are, which arguments each takes, and how one is built."""

from __future__ import annotations

import difflib
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Union, get_args, get_origin

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision import models

from discerna.errors import SettingsError
from discerna.networks import azure_networks, timm_networks
from discerna.networks.registration import import_user_modules as import_user_modules
from discerna.networks.registration import own_names, own_network
from discerna.networks.timm_networks import TimmName
from discerna.wording import shown

RESERVED = ("registry:",)
"""Prefixes that will name networks from elsewhere one day."""

SIZE_ARGUMENTS = {"VisionTransformer": "image_size", "MaxVit": "input_size"}
"""The classes whose tensors depend on the size of the picture, with the argument that tells them the size."""

_NOT_ARGUMENTS = {"self", "num_classes", "num_labels", "weights", "progress", *SIZE_ARGUMENTS.values()}


@dataclass(frozen=True)
class Architecture:
    """A network that can be built."""

    name: str
    builder: Callable[..., nn.Module]
    cls: type[nn.Module] | None
    """Torchvision's class, under the extra layer if there is one; None for timm's and the user's own."""
    image_size: int | None
    """What a user registered; other networks' sizes come with their weights."""
    timm: TimmName | None = None
    """What timm calls it; None for a network that is not timm's."""
    below: str | None = None
    """Torchvision's name of the network under the extra layer of `azure/`; None for all others."""

    @property
    def is_own(self) -> bool:
        """Whether a user registered it."""
        return self.cls is None and self.timm is None

    @property
    def torchvision_name(self) -> str:
        """The name under which torchvision keeps the weights of the network."""
        return self.below or self.name

    @property
    def size_argument(self) -> str | None:
        """The argument that fixes the size of the picture when the network is made, where there is one."""
        if self.timm:
            return "img_size" if timm_networks.takes_size(self.timm) else None
        return SIZE_ARGUMENTS.get(self.cls.__name__) if self.cls else None


def names() -> list[str]:
    """Torchvision's networks, then those of the user's own; not timm's, nor the designer's, which have prefixes."""
    return [*_torchvision_names(), *own_names()]


def _torchvision_names() -> list[str]:
    return list(models.list_models(module=models))


def find(name: str, setting: str = "network") -> Architecture:
    """The architecture of that name, which the user gave as `setting`."""
    where = f"{setting}={shown(name)}"
    if name.startswith(RESERVED):
        raise SettingsError(
            "a source of networks that is not available in this version",
            where=where,
            accepted="torchvision's networks, timm's as timm/NAME, and your own",
            remedy="use a name from docs/networks.md, or register a network of your own",
        )
    if name.startswith(timm_networks.PREFIX):
        found = timm_networks.find(name, where)
        builder = partial(timm_networks.build, found)
        return Architecture(f"{timm_networks.PREFIX}{found}", builder, None, None, found)
    if name.startswith(azure_networks.PREFIX):
        below = azure_networks.below(name, where)
        builder = partial(azure_networks.build, below)
        return Architecture(name, builder, _class_of(below), None, below=below)
    if name in _torchvision_names():
        if name in own_names():
            raise SettingsError(
                "two networks have one name",
                where=where,
                accepted="torchvision and an installed package have it",
                remedy="uninstall the package, or rename its entry point",
            )
        return Architecture(name, models.get_model_builder(name), _class_of(name), None)
    own = own_network(name)
    if own is not None:
        return Architecture(name, own.builder, None, own.image_size)
    raise _unknown(name, where)


def _class_of(name: str) -> type[nn.Module]:
    found: type[nn.Module] = inspect.signature(models.get_model_builder(name)).return_annotation
    return found


def _unknown(name: str, where: str) -> SettingsError:
    known = names()
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    own = own_names()
    return SettingsError(
        "unknown network",
        where=where,
        accepted="there are torchvision's, timm's as timm/NAME"
        + (f" and your own {', '.join(own)}" if own else ""),
        remedy=f"did you mean {' or '.join(near)}" if near else "see docs/networks.md for the names",
    )


def build(architecture: Architecture, num_labels: int, arguments: dict[str, Any]) -> nn.Module:
    """The network with random weights from torch's generator, and a head for so many labels."""
    given = dict(arguments)
    if architecture.timm:
        refuse_foreign(architecture, given)
        return architecture.builder(num_labels, given)
    if architecture.cls is None:
        network = architecture.builder(num_labels, **given)
        if not isinstance(network, nn.Module):
            raise TypeError(f"the builder gave a {type(network).__name__}, not a torch.nn.Module")
        return network
    if architecture.name in ("googlenet", "inception_v3") and given.get("init_weights") is None:
        given["init_weights"] = True  # unset, torchvision warns that its default will change
    if architecture.size_argument == "input_size":
        given["input_size"] = tuple(given["input_size"])  # JSON has only lists
    return architecture.builder(weights=None, num_classes=num_labels, **given)


def refuse_foreign(architecture: Architecture, arguments: Mapping[str, Any]) -> None:
    """Raise a TypeError for arguments, perhaps from a file, that are not plain ones of timm's class."""
    # timm's own door would take any: a path to unpickle, a place to download to, an address.
    plain = _plain_of_timm(architecture)
    if architecture.size_argument:
        plain["img_size"] = int
    for name, value in arguments.items():
        if name not in plain:
            raise TypeError(f"it does not take {shown(name)}")
        if not _fits(plain[name], value) or timm_networks.too_large(value):
            raise TypeError(f"{name} cannot be {shown(repr(value))}")


def _plain_of_timm(architecture: Architecture) -> dict[str, Any]:
    """The parameters of timm's class that YAML can give."""
    assert architecture.timm is not None
    return {
        name: hint
        for name, hint in timm_networks.parameters(architecture.timm).items()
        if name not in timm_networks.NEVER_ARGUMENTS
        and not name.endswith(timm_networks.CODE)
        and _is_plain(hint)
    }


def check_arguments(architecture: Architecture, arguments: dict[str, Any]) -> None:
    """Refuse what the user typed in `arguments` where the network does not take it."""
    if not arguments:
        return
    accepted = accepted_arguments(architecture)
    for name, value in arguments.items():
        where = f"arguments.{shown(name)}={value!r}"
        if name in ("num_classes", "num_labels"):
            raise SettingsError(
                "the number of labels cannot be set",
                where=where,
                accepted="the head follows from the labels of train_data",
                remedy=f"leave out arguments.{name}",
            )
        if name in (*SIZE_ARGUMENTS.values(), architecture.size_argument) and name not in accepted:
            raise SettingsError("not an argument", where=where, remedy=f"use image_size={value}")
        if name in ("weights", "pretrained"):
            raise SettingsError("not an argument", where=where, remedy=f"use pretrained={value}")
        if name not in accepted and not _takes_any(architecture):
            raise _unknown_argument(architecture, name, where, list(accepted))
        if not architecture.is_own and not _fits(accepted[name], value):
            raise SettingsError("wrong value", where=where, accepted=f"it is {_words(accepted[name])}")


def _unknown_argument(
    architecture: Architecture, name: str, where: str, accepted: Sequence[str]
) -> SettingsError:
    near = difflib.get_close_matches(name, accepted, n=1, cutoff=0.6)
    return SettingsError(
        "unknown argument of the network",
        where=where,
        accepted=f"{architecture.name} takes {', '.join(accepted) or 'none'}",
        remedy=f"did you mean {near[0]}" if near else f"leave out arguments.{name}",
    )


def accepted_arguments(architecture: Architecture) -> dict[str, Any]:
    """The names of the arguments that a user may give, with their types."""
    if architecture.timm:
        found = _plain_of_timm(architecture)
        return {name: hint for name, hint in found.items() if _timm_takes(architecture, name)}
    if architecture.cls is None:
        return {p.name: p.annotation for p in _parameters(architecture.builder)[1:]}
    return {
        p.name: p.annotation
        for p in _parameters(architecture.cls.__init__)
        if p.name not in _NOT_ARGUMENTS and _is_plain(p.annotation) and _builder_takes(architecture, p)
    }


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that have names, without *args and **kwargs."""
    found = inspect.signature(function).parameters.values()
    return [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _takes_any(architecture: Architecture) -> bool:
    """Whether a user's builder has **kwargs."""
    found = inspect.signature(architecture.builder).parameters.values()
    return architecture.is_own and any(p.kind is p.VAR_KEYWORD for p in found)


class _BuildingBegan(Exception):
    """The builder handed the arguments to the class, which set to work."""


class _StopAtFirstTensor(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.empty:
            raise _BuildingBegan
        return func(*args, **(kwargs or {}))


def _builder_takes(architecture: Architecture, parameter: inspect.Parameter) -> bool:
    """Whether an argument of the class may be given to the builder, or is what makes the name what it is."""
    # Builders take **kwargs and say nowhere which ones they set themselves: growth_rate of densenet161,
    # groups of resnext50_32x4d. Passing one and seeing whether the class begins its work tells.
    value = parameter.default
    if value is parameter.empty:
        value = 1
    elif isinstance(value, int) and not isinstance(value, bool):
        value += 1  # a builder that sets it lets only its own value through, which may be the default
    try:
        with _StopAtFirstTensor():
            build(architecture, 2, {**_smallest_size(architecture), parameter.name: value})
    except _BuildingBegan:
        return True
    except (TypeError, ValueError):
        return False
    return True


def _timm_takes(architecture: Architecture, name: str) -> bool:
    """Whether an argument of timm's class may be given, or is what makes the name what it is."""
    try:
        with _StopAtFirstTensor():
            architecture.builder(2, {name: _TRIAL})
    except TypeError as error:
        return "multiple values" not in str(error) and "unexpected keyword" not in str(error)
    except Exception:  # it reached what works with it, which shows that the trial is no value
        return True
    return True


_TRIAL = object()
"""A value that no network can work with."""


def _smallest_size(architecture: Architecture) -> dict[str, Any]:
    return {"input_size": [224, 224]} if architecture.size_argument == "input_size" else {}


def _is_plain(hint: Any) -> bool:
    """Whether YAML can hold a value of the type."""
    if hint in (int, float, bool, str, types.NoneType, Any):
        return True
    if get_origin(hint) is Literal:
        return True
    if get_origin(hint) in (Union, types.UnionType, list, tuple, Sequence):
        return all(_is_plain(member) for member in get_args(hint) if member is not ...)
    return False


def _fits(hint: Any, value: Any) -> bool:
    """Whether the value is of the type: true is no whole number, a whole number is a number."""
    origin, members = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(member, value) for member in members)
    if origin is Literal:
        return any(type(value) is type(member) and value == member for member in members)
    if origin in (list, Sequence) or (origin is tuple and members[-1] is ...):
        return isinstance(value, list) and all(_fits(members[0], item) for item in value)
    if origin is tuple:
        return isinstance(value, list) and len(value) == len(members) and all(map(_fits, members, value))
    if hint is float:
        return type(value) in (int, float)
    if hint is types.NoneType:
        return value is None
    return type(value) is hint


def _words(hint: Any) -> str:
    """The type for people."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_words(member) for member in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if get_origin(hint) in (list, tuple, Sequence):
        return f"a list ({_words(get_args(hint)[0])})"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return words.get(hint, "null")
