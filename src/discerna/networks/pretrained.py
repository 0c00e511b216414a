"""Weights that somebody trained: torchvision's or timm's, from a cache or the network, or a user's file."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torchvision import models

from discerna.directories.model_dir import first_not_finite
from discerna.directories.model_files import file_digest
from discerna.errors import SettingsError
from discerna.networks.architectures import Architecture
from discerna.networks.downloads import cached_or_downloaded, has_named_hash
from discerna.networks.timm_weights import Adapt, TimmWeights
from discerna.networks.timm_weights import described as described_by_timm
from discerna.progress import Progress
from discerna.settings.build import absolute, nearest
from discerna.wording import shown

SUFFIXES = (".safetensors", ".pth", ".pt")

TORCHVISION_LICENCE = (
    "BSD-3-Clause (torchvision); trained on ImageNet-1K, whose terms allow non-commercial research"
)

_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""Heads that GoogLeNet and Inception have while they train, unless aux_logits=false."""

_OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")


@dataclass(frozen=True)
class Source:
    """Where pretrained weights come from."""

    entry: Any
    """Torchvision's description of the weights, or TimmWeights; None for a file that is none of torchvision's."""
    path: Path | None
    """The user's file; None where the weights are to be fetched."""

    def described(self) -> dict[str, str]:
        """What the model directory tells of them."""
        if self.entry is None:
            assert self.path is not None
            return {"name": shown(self.path.name), "sha256": file_digest(self.path), "licence": "not known"}
        if isinstance(self.entry, TimmWeights):
            return self.entry.described()
        licence = self.entry.meta.get("license") or TORCHVISION_LICENCE
        return {"name": self.entry.name, "file": file_of(self.entry), "licence": str(licence)}

    def fetched(self, progress: Progress) -> Path:
        """The file, which may have to be downloaded."""
        if self.path:
            return self.path
        if isinstance(self.entry, TimmWeights):
            return self.entry.fetched(progress)
        return cached_or_downloaded(self.entry.url, progress)


def file_of(entry: Any) -> str:
    """The name of the file of torchvision's weights."""
    return str(entry.url).rpartition("/")[2]


def is_file(pretrained: bool | str) -> TypeGuard[str]:
    """Whether the setting `pretrained` names a file, not weights that torchvision or timm know."""
    return isinstance(pretrained, str) and ("/" in pretrained or pretrained.endswith(SUFFIXES))


def choose(architecture: Architecture, pretrained: bool | str) -> Source | None:
    """What the setting `pretrained` means for the network; nothing is downloaded yet."""
    if pretrained is False:
        return None
    if is_file(pretrained):
        path = _checked_file(absolute(pretrained), pretrained)
        return Source(_recognised(architecture, path), path)
    if architecture.timm:
        return Source(described_by_timm(architecture.timm), None)
    entries = _entries(architecture)
    if not entries:
        raise SettingsError(
            "the network has no pretrained weights of its own",
            where=f"pretrained={'true' if pretrained is True else shown(pretrained)}",
            accepted=f"{architecture.name} is not torchvision's",
            remedy="pass pretrained=FILE, a .safetensors or .pth file",
        )
    if pretrained is True:
        return Source(models.get_model_weights(architecture.torchvision_name).DEFAULT, None)
    if pretrained not in entries:
        raise SettingsError(
            "unknown weights",
            where=f"pretrained={shown(pretrained)}",
            accepted=f"{architecture.name} has {', '.join(entries)}",
            remedy=nearest(pretrained.upper(), entries) or "or give the path of a .safetensors or .pth file",
        )
    return Source(entries[pretrained], None)


def _entries(architecture: Architecture) -> dict[str, Any]:
    """Torchvision's weights of a network by name, without those that lack a classifier."""
    if architecture.cls is None:
        return {}
    weights = models.get_model_weights(architecture.torchvision_name)
    return {entry.name: entry for entry in weights if entry.meta["categories"]}


def _checked_file(path: Path, typed: str) -> Path:
    where = f"pretrained={shown(typed)}"
    if path.is_dir():
        raise SettingsError(
            "pretrained weights are a file",
            where=where,
            accepted="it is a directory",
            remedy="give the weights.safetensors in it, or pass the directory as model",
        )
    if not path.is_file():
        raise SettingsError(
            "no such file of weights",
            where=where,
            accepted="there is nothing at this path",
            remedy="check the path",
        )
    if path.suffix not in SUFFIXES:
        raise SettingsError(
            "not a file of weights",
            where=where,
            accepted=f"names that end with {', '.join(SUFFIXES)}",
            remedy="save the network's state_dict as safetensors",
        )
    return path


def _recognised(architecture: Architecture, path: Path) -> Any:
    """Torchvision's description of the file, where it is one of theirs: their names hold part of the hash."""
    digest = file_digest(path)
    entries = _entries(architecture).values()
    return next((entry for entry in entries if has_named_hash(file_of(entry), digest)), None)


def fill(network: nn.Module, path: Path, head: frozenset[str], adapt: Adapt | None = None) -> None:
    """Put the weights in the file into the network, all but the head; refuses whatever does not fit.

    `adapt` turns what the file holds into the network's tensors where it may hold others.
    """
    where = f"pretrained={shown(str(path))}"
    read = _renamed(_read(path, where))
    if adapt:
        try:
            read = adapt(read, network)
        except Exception as error:  # what comes from another network makes it stumble anywhere
            raise _mismatch(where, shown(" ".join(f"{type(error).__name__}: {error}".split()))) from error
    state = _without(read, network, head)
    own = network.state_dict()
    wrong = [
        f"{shown(name)} is {_size(tensor)}, not {_size(own[name])}"
        for name, tensor in state.items()
        if name in own and tensor.shape != own[name].shape
    ]
    if wrong:
        raise _mismatch(where, f"wrong shapes: {_few(wrong)}")
    try:
        result = network.load_state_dict(state, strict=False)
    except (RuntimeError, ValueError) as error:
        raise _mismatch(where, " ".join(str(error).split())) from None
    missing = [name for name in result.missing_keys if name not in head and not _is_auxiliary(network, name)]
    told = [f"missing: {_few(missing)}"] if missing else []
    told += [f"unexpected: {_few(map(shown, result.unexpected_keys))}"] if result.unexpected_keys else []
    if told:
        raise _mismatch(where, ", ".join(told))
    broken = first_not_finite(network.state_dict())
    if broken is not None:
        raise SettingsError("the weights hold NaN or infinity", where=where, accepted=f"in {broken}")


def _is_auxiliary(network: nn.Module, name: str) -> bool:
    return isinstance(network, models.GoogLeNet | models.Inception3) and name.startswith(_AUXILIARY)


def _mismatch(where: str, found: str) -> SettingsError:
    return SettingsError(
        "the weights do not fit the network",
        where=where,
        accepted=found,
        remedy="use the network and the arguments that they were trained with",
    )


def _few(names: Any) -> str:
    """The first three of many."""
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _size(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"


def _read(path: Path, where: str) -> Mapping[str, Tensor]:
    """The tensors in a file; nothing in it is ever unpickled but tensors."""
    from safetensors.torch import load_file

    remedy = "save the network's state_dict alone, best as .safetensors"
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the readers raise all sorts
        reason = "it is damaged, or holds other things than tensors, which are not unpickled"
        if isinstance(error, OSError):
            reason = error.strerror or reason
        raise SettingsError(
            "the weights cannot be read", where=where, accepted=reason, remedy=remedy
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise SettingsError("the file holds no weights", where=where, remedy=remedy)
    others = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if others:
        found = f"not tensors: {_few(map(shown, others))}"
        raise SettingsError("the file holds more than weights", where=where, accepted=found, remedy=remedy)
    return content


def _renamed(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors under today's names: without DataParallel's prefix, and DenseNet's as it is now."""
    renamed = OrderedDict(state)
    if all(name.startswith("module.") for name in state):
        renamed = OrderedDict((name.removeprefix("module."), tensor) for name, tensor in state.items())
    elif hasattr(state, "_metadata"):
        renamed._metadata = state._metadata  # type: ignore[attr-defined]
    for name in [name for name in renamed if _OLD_DENSENET.fullmatch(name)]:
        renamed[_OLD_DENSENET.sub(r"\1\2", name)] = renamed.pop(name)
    return renamed


def _without(state: Mapping[str, Tensor], network: nn.Module, head: frozenset[str]) -> Mapping[str, Tensor]:
    """The tensors without heads, and with the versions by which layers recognise files of old."""
    # The whole module goes: many a file has fc.1.weight where the network has fc.weight.
    layers = tuple(f"{name.rpartition('.')[0]}." for name in head if "." in name)
    own = network.state_dict()
    kept = OrderedDict(
        (name, tensor)
        for name, tensor in state.items()
        if name not in head
        and not name.startswith(layers)
        and (name in own or not _is_auxiliary(network, name))
    )
    # A file without versions gets the root's alone: MNASNet insists on it, and batch norms without one
    # know that num_batches_tracked may be missing.
    kept._metadata = getattr(state, "_metadata", {"": {"version": network._version}})  # type: ignore[attr-defined]
    return kept
