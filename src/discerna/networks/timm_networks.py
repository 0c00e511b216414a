"""timm's networks: their names, what each is built of, and what it wants to see of a picture.

timm is an extra, and slow to import: only a name that begins with `timm/` makes it be loaded.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args, get_type_hints

import torch
from torch import nn

from discerna.errors import MissingExtraError, SettingsError
from discerna.networks.storage import WithoutStorage
from discerna.settings.preprocessing import Fit, Interpolation, Preprocessing
from discerna.wording import shown

LOG = logging.getLogger("discerna")

PREFIX = "timm/"

LARGEST_NUMBER = 16384
"""Of timm's own arguments none is larger; a file's could ask for a loop or a table that never ends."""

NEVER_ARGUMENTS = frozenset(
    {
        # what is set elsewhere: by the labels, by image_size, by pretrained
        *("num_classes", "num_labels", "img_size", "pretrained", "in_chans"),
        # what create_model and the builders take for themselves: paths, addresses, what makes no classifier
        *("pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict", "pretrained_model_args"),
        *("pretrained_filter_fn", "checkpoint_path", "cache_dir", "scriptable", "exportable", "no_jit"),
        *("features_only", "out_indices", "feature_cls", "model_cfg", "feature_cfg", "kwargs_filter"),
        *("device", "dtype", "pruned"),
    }
)
"""Arguments that nobody may set, whatever a class of timm's may call its own one day."""

CODE = ("_layer", "_layer_cl", "_cls", "_fn")
"""How parameters end that are classes or functions, which timm lets be given by name too."""

_FITS: dict[str, Fit] = {"center": "crop", "squash": "stretch", "border": "pad"}


@dataclass(frozen=True)
class TimmName:
    """A network of timm's, with the tag that chooses among its weights and their preprocessing."""

    network: str
    tag: str
    """Empty for timm's default."""

    def __str__(self) -> str:
        return f"{self.network}.{self.tag}" if self.tag else self.network


def package(where: str) -> Any:
    """The package timm; `where` names what asks for it."""
    try:
        with quiet():
            return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise MissingExtraError.of("timm", "timm", where) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings by which timm tells of its own old names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def find(name: str, where: str) -> TimmName:
    """The network that `timm/NAME` or `timm/NAME.TAG` names; names of old become today's."""
    timm = package(where)
    network, _, tag = name.removeprefix(PREFIX).partition(".")
    current = timm.models.get_deprecated_models().get(network)
    if current is not None:
        network, _, new_tag = current.partition(".")
        tag = tag or new_tag
        LOG.info("timm calls %s %s%s now", shown(name), PREFIX, TimmName(network, tag))
    known = timm.list_models()
    if network not in known:
        near = difflib.get_close_matches(network.lower(), known, n=3, cutoff=0.6)
        raise SettingsError(
            "unknown network",
            where=where,
            accepted=f"timm {timm.__version__} has {len(known)} others",
            remedy=f"did you mean {' or '.join(PREFIX + other for other in near)}"
            if near
            else "timm.list_models() in Python lists them",
        )
    found = TimmName(network, tag)
    if tag and tag not in tags(found):
        raise unknown_tag(found, where)
    return found


def unknown_tag(name: TimmName, where: str) -> SettingsError:
    """The error for a tag that timm does not have of a network."""
    there = tags(name)
    near = difflib.get_close_matches(name.tag, there, n=1, cutoff=0.5)
    return SettingsError(
        "unknown weights",
        where=where,
        accepted=f"timm has {', '.join(there) or 'none'} of {name.network}",
        remedy=f"did you mean {near[0]}" if near else "use one of these, or leave the tag out",
    )


def tags(name: TimmName) -> list[str]:
    """The tags of a network, timm's default first."""
    timm = package(PREFIX + str(name))
    named = timm.list_models(name.network, include_tags=True)
    default = default_tag(name)
    found = [other.partition(".")[2] for other in named if "." in other]
    return sorted(found, key=lambda tag: (tag != default, tag))


def default_tag(name: TimmName) -> str:
    """The tag that timm takes where none is given; empty where it has none."""
    return str(config(TimmName(name.network, "")).get("tag") or "")


def config(name: TimmName) -> dict[str, Any]:
    """What timm knows of a network's weights: where they lie, their licence, the preprocessing they had."""
    timm = package(PREFIX + str(name))
    found = timm.get_pretrained_cfg(str(name))
    return dict(found.to_dict()) if found is not None else {}


def preprocessing(name: TimmName) -> Preprocessing:
    """What timm shows the network in its evaluations."""
    resolved = importlib.import_module("timm.data").resolve_data_config(pretrained_cfg=config(name))
    size = min(resolved["input_size"][1:])  # the few that see no squares take smaller ones
    mean, std = list(map(float, resolved["mean"])), list(map(float, resolved["std"]))
    three = len(mean) == len(std) == 3
    return Preprocessing(
        size=size,
        fit=_FITS.get(resolved["crop_mode"], "crop"),
        # Rounded down as timm does; a share above 1 would put an edge around the picture.
        resize=max(size, math.floor(size / resolved["crop_pct"])),
        interpolation=_interpolation(resolved["interpolation"]),
        mean=mean if three else [0.5] * 3,  # one channel's numbers are no three colours'
        std=std if three else [0.5] * 3,
    )


def _interpolation(name: str) -> Interpolation:
    """Ours of timm's names; bicubic, its default, for those that we have not (box, hamming, random)."""
    return next((known for known in get_args(Interpolation) if known == name), "bicubic")


def build(
    name: TimmName, num_labels: int, arguments: dict[str, Any], *, pretrained: bool = False
) -> nn.Module:
    """The network with random weights, unless timm shall load some; `arguments` have been checked."""
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    with quiet():
        network = package(PREFIX + str(name)).create_model(
            str(name), pretrained=pretrained, num_classes=num_labels, **given
        )
    assert isinstance(network, nn.Module)
    return network


def skeleton(
    name: TimmName, num_labels: int, arguments: dict[str, Any], *, pretrained: bool = False
) -> nn.Module:
    """The network without storage."""
    try:
        with WithoutStorage():
            return build(name, num_labels, arguments, pretrained=pretrained)
    except RuntimeError as error:
        if "meta" not in str(error):
            raise
    # Some mix what torch.arange makes, which has storage, with what torch.rand makes.
    with torch.device("meta"), WithoutStorage():
        return build(name, num_labels, arguments, pretrained=pretrained)


@lru_cache(maxsize=256)
def parameters(name: TimmName) -> dict[str, Any]:
    """The parameters of the network's class with their types; that of one without a type follows its default."""
    try:
        network = skeleton(name, 2, {})
    except Exception as error:  # some need packages that are not there
        raise SettingsError(
            f"{PREFIX}{name} cannot be built",
            where=f"timm {package(str(name)).__version__}",
            accepted=shown(" ".join(f"{type(error).__name__}: {error}".split())),
            remedy="use another network",
        ) from error
    found: dict[str, Any] = {}
    for cls in type(network).__mro__:
        if cls is nn.Module:
            break
        if "__init__" in vars(cls):
            named, takes_more = _named(cls)
            found = {**named, **found}
            if not takes_more:
                break
    return found


def _named(cls: type) -> tuple[dict[str, Any], bool]:
    """The parameters of the class's own `__init__`, and whether it hands others on."""
    maker = vars(cls)["__init__"]
    try:
        hints = get_type_hints(maker)
    except Exception:  # a name that timm imports for type checkers only
        hints = {}
    every = list(inspect.signature(maker).parameters.values())[1:]
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = {
        parameter.name: hints.get(parameter.name, _of_default(parameter.default))
        for parameter in every
        if parameter.kind not in variable
    }
    return named, any(parameter.kind is parameter.VAR_KEYWORD for parameter in every)


def _of_default(default: Any) -> Any:
    """The type that a parameter's default tells; that of a whole number may be any number."""
    if type(default) is int:
        return int | float
    return type(default) if type(default) in (bool, float, str) else None


def takes_size(name: TimmName) -> bool:
    """Whether the network is made for one size of picture, and can be told which."""
    return bool(config(name).get("fixed_input_size")) and "img_size" in parameters(name)


def too_large(value: Any) -> bool:
    """Whether there is a number in the value that no network can want."""
    if isinstance(value, list):
        return len(value) > LARGEST_NUMBER or any(map(too_large, value))
    return isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER
