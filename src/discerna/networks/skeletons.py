"""Networks without storage: enough to know every tensor's shape and whether a picture of some size fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torchvision.models import GoogLeNetOutputs, InceptionOutputs

from discerna.errors import SettingsError
from discerna.networks import timm_networks
from discerna.networks.architectures import Architecture, accepted_arguments, build, refuse_foreign
from discerna.networks.storage import WithoutStorage
from discerna.wording import shown

T = TypeVar("T")

REMEMBERED = 32
"""Networks of which it is remembered what was found: a training asks several times, and each takes a while."""

Shapes = dict[str, tuple[int, ...]]


def skeleton(architecture: Architecture, num_labels: int, arguments: dict[str, Any]) -> nn.Module:
    """The network without storage; one of a user's own that cannot be built so is built in full."""
    with torch.random.fork_rng(devices=[]):
        try:
            if architecture.timm:
                refuse_foreign(architecture, arguments)
                return timm_networks.skeleton(architecture.timm, num_labels, arguments)
            with WithoutStorage():
                return build(architecture, num_labels, arguments)
        except Exception as error:
            if architecture.is_own:
                return _full(architecture, num_labels, arguments)
            raise _cannot_build(architecture, arguments, error) from None


def built(architecture: Architecture, num_labels: int, arguments: dict[str, Any]) -> nn.Module:
    """The network in full; a SettingsError where the arguments do not let it be built."""
    if architecture.is_own:
        return _full(architecture, num_labels, arguments)
    try:
        return build(architecture, num_labels, arguments)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise _cannot_build(architecture, arguments, error) from None


def _full(architecture: Architecture, num_labels: int, arguments: dict[str, Any]) -> nn.Module:
    try:
        return build(architecture, num_labels, arguments)
    except Exception as error:  # a user's builder may raise anything; its traceback helps them
        raise _cannot_build(architecture, arguments, error) from error


def _cannot_build(architecture: Architecture, arguments: dict[str, Any], error: Exception) -> SettingsError:
    typed = {name: value for name, value in arguments.items() if name != architecture.size_argument}
    return SettingsError(
        f"{architecture.name} cannot be built",
        where=f"arguments={typed}",
        accepted=shown(" ".join(f"{type(error).__name__}: {error}".split())),
        remedy="change the arguments" if not architecture.is_own else "change the arguments or the builder",
    )


def shapes(network: nn.Module) -> Shapes:
    """The shape of every tensor of the network's state."""
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict(keep_vars=True).items()}


def head_names(architecture: Architecture, arguments: dict[str, Any]) -> frozenset[str]:
    """The tensors whose shape depends on the number of labels."""
    return _once("head", architecture, arguments, 0, lambda: _head_names(architecture, arguments))


_remembered: dict[tuple[object, ...], Any] = {}


def _once(
    what: str, architecture: Architecture, arguments: dict[str, Any], size: int, find: Callable[[], T]
) -> T:
    """What `find` gives, found once in this process; a user's builder counts, others are known by their names."""
    builder = architecture.builder if architecture.is_own else None
    try:
        key = (what, architecture.name, builder, json.dumps(arguments, sort_keys=True), size)
    except TypeError:  # values that no file can hold
        return find()
    if key not in _remembered:
        if len(_remembered) >= REMEMBERED:
            _remembered.clear()
        _remembered[key] = find()
    found: T = _remembered[key]
    return found


def _head_names(architecture: Architecture, arguments: dict[str, Any]) -> frozenset[str]:
    two = shapes(skeleton(architecture, 2, arguments))
    three = shapes(skeleton(architecture, 3, arguments))
    head = frozenset(name for name in two if two[name] != three.get(name))
    if architecture.timm and (not head or set(two) != set(three)):
        raise SettingsError(
            "the network is no classifier",
            where=architecture.name,
            accepted="none of its tensors follows the number of labels",
            remedy="use another of timm's networks",
        )
    if not head or set(two) != set(three):
        raise SettingsError(
            "the network's head does not follow the number of labels",
            where=architecture.name,
            accepted="builder(num_labels, ...) gives the same tensors, a few of them sized by num_labels",
            remedy="make the last layer give num_labels outputs",
        )
    return head


def logits(output: Any) -> tuple[Tensor, list[tuple[float, Tensor]]]:
    """What a network says of each label, and its auxiliary heads with the weight of their loss."""
    heads: list[tuple[float, Tensor | None]] = []
    if isinstance(output, InceptionOutputs):
        output, heads = output.logits, [(0.4, output.aux_logits)]
    elif isinstance(output, GoogLeNetOutputs):
        output, heads = output.logits, [(0.3, output.aux_logits1), (0.3, output.aux_logits2)]
    if not isinstance(output, Tensor):
        raise SettingsError(
            "a network's output is no tensor",
            where=type(output).__name__,
            accepted="a tensor of pictures × labels",
            remedy="let the network's forward return it",
        )
    return output, [(weight, head) for weight, head in heads if head is not None]


TRIAL_LABELS = 7  # unlike the number of pictures in a trial


def check_runs(architecture: Architecture, arguments: dict[str, Any], size: int) -> None:
    """Refuse a picture size with which the network cannot work; two pictures without storage tell."""
    _once("runs", architecture, arguments, size, lambda: _check_runs(architecture, arguments, size))


def _check_runs(architecture: Architecture, arguments: dict[str, Any], size: int) -> None:
    network = skeleton(architecture, TRIAL_LABELS, arguments).to("meta")
    fault = _fault(network, size)
    if fault is not None and _looks_at_values(architecture, fault):
        with torch.random.fork_rng(devices=[]):
            network = built(architecture, TRIAL_LABELS, arguments)
        fault = _fault(network, size)
    if fault is None:
        return
    if isinstance(fault, SettingsError):
        raise fault
    remedy = "use another image_size"
    if arguments.get("aux_logits", True) and "aux_logits" in accepted_arguments(architecture):
        without = skeleton(architecture, TRIAL_LABELS, {**arguments, "aux_logits": False}).to("meta")
        if _fault(without, size) is None:
            remedy += " or arguments.aux_logits=false"
    smallest = "" if architecture.size_argument else _smallest(network, size)
    raise SettingsError(
        f"{architecture.name} cannot take pictures of {size} pixels",
        where=f"image_size={size}",
        accepted=smallest or shown(" ".join(str(fault).split())),
        remedy=remedy,
    )


def _looks_at_values(architecture: Architecture, fault: Exception) -> bool:
    """Whether the fault may come from the meta device, which has no values; what is asserted is of shapes."""
    return architecture.is_own or (architecture.timm is not None and not isinstance(fault, AssertionError))


def _fault(network: nn.Module, size: int, modes: tuple[bool, ...] = (False, True)) -> Exception | None:
    """What goes wrong with two pictures of that size, in training (True) or afterwards."""
    pictures = torch.zeros(2, 3, size, size, device=next(network.parameters()).device)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            for training in modes:
                scores, _ = logits(network.train(training)(pictures))
                if scores.shape != (2, TRIAL_LABELS):
                    raise SettingsError(
                        "a network's output has the wrong shape",
                        where=f"{tuple(scores.shape)} for 2 pictures and {TRIAL_LABELS} labels",
                        accepted="a tensor of pictures × labels",
                        remedy="let the network's forward return it",
                    )
    except Exception as error:  # layers raise all sorts
        return error
    return None


def _smallest(network: nn.Module, size: int) -> str:
    """How large pictures must be, in words, where there is a smallest size and finding it is cheap."""
    low, high = size, 1024
    training = (True,)  # the more exacting of the two
    if not next(network.parameters()).is_meta or size >= high or _fault(network, high, training) is not None:
        return ""
    while high - low > 1:
        middle = (low + high) // 2
        if _fault(network, middle, training) is None:
            high = middle
        else:
            low = middle
    return f"it takes {high} or more"
