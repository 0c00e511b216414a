"""The networks that the Azure ML designer made of pretrained ones: a layer on top of torchvision's 1000 outputs.

It never replaced the head, so its models give their scores again with both layers only.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torchvision import models

from discerna.errors import SettingsError
from discerna.wording import shown

PREFIX = "azure/"

RESNETS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2"),
)
DENSENETS = ("densenet121", "densenet161", "densenet169", "densenet201")

BELOW, ON_TOP = "model.", "out_linear_model."
"""How the names of the tensors begin in the two parts; those of the designer's files are the same."""

_OUTPUTS_BELOW = 1000


class WithExtraLayer(nn.Module):
    """A network of torchvision's with its 1000 outputs, and a linear layer that makes the labels of them."""

    def __init__(self, model: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.model = model
        self.out_linear_model = nn.Linear(_OUTPUTS_BELOW, num_classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """The scores of each label."""
        scores: Tensor = self.out_linear_model(self.model(pictures))
        return scores


def below(name: str, where: str) -> str:
    """Torchvision's name of the network below the extra layer of `azure/NAME`."""
    network = name.removeprefix(PREFIX)
    known = (*RESNETS, *DENSENETS)
    if network in known:
        return network
    near = difflib.get_close_matches(network.lower(), known, n=3, cutoff=0.6)
    names = " or ".join(PREFIX + other for other in near)
    raise SettingsError(
        "unknown network",
        where=where,
        accepted=f"{PREFIX} names the designer's {len(known)} networks, and no directory",
        remedy=f"did you mean {names}" if near else f"write ./{shown(name)} for a directory",
    )


def build(network: str, *, weights: None, num_classes: int, **arguments: Any) -> nn.Module:
    """The network with random weights; called as torchvision's own builders are."""
    builder = models.get_model_builder(network)
    return WithExtraLayer(
        builder(weights=weights, num_classes=_OUTPUTS_BELOW, **arguments), num_classes=num_classes
    )


def adapt(read: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a file under the network's names, be they of the network or of what lies below."""
    own = network.state_dict()
    return {name if name in own else BELOW + name: tensor for name, tensor in read.items()}
