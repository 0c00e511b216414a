"""Optimizers, built from settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from discerna.settings.optimizer import AdamWSettings, SgdSettings


def build_optimizer(
    settings: SgdSettings | AdamWSettings,
    network: nn.Module,
    rate: float,
    *,
    fused: bool,
    head: Collection[str] = (),
    vectors: Collection[str] | None = None,
) -> Optimizer:
    """The optimizer over all weights of the network; `head` names those that learn at the full rate.

    `vectors` names those that were vectors before the network was sharded; None: it is not.
    """
    groups = _groups(network, settings, rate, head, vectors)
    if isinstance(settings, SgdSettings):
        return torch.optim.SGD(
            groups, lr=rate, momentum=settings.momentum, nesterov=settings.nesterov, fused=fused
        )
    return torch.optim.AdamW(
        groups, lr=rate, betas=(settings.beta1, settings.beta2), eps=settings.eps, fused=fused
    )


def _groups(
    network: nn.Module,
    settings: SgdSettings | AdamWSettings,
    rate: float,
    head: Collection[str],
    vectors: Collection[str] | None,
) -> list[dict[str, Any]]:
    """Weights that learn at one rate and decay alike; those of the full rate first.

    Biases and normalisation weights, which are vectors, do not decay unless asked.
    """
    assert not isinstance(settings.weight_decay, str)
    factors = rate_factors(network, settings, head)
    # The head apart from the body, also at equal rates: fused steps want a group to have begun as one, and a
    # frozen body begins later.
    groups: dict[tuple[float, bool, float], list[nn.Parameter]] = {}
    for name, parameter in _named(network):
        if not parameter.requires_grad:
            continue
        vector = parameter.ndim < 2 if vectors is None else name in vectors
        decays = settings.decay_norm_and_bias or not vector
        key = (factors[name], name in head, settings.weight_decay if decays else 0.0)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": groups[key], "lr": rate * key[0], "weight_decay": key[2]}
        for key in sorted(groups, reverse=True)
    ]


def rate_factors(
    network: nn.Module, settings: SgdSettings | AdamWSettings, head: Collection[str]
) -> dict[str, float]:
    """The share of the learning rate for each weight: 1 in the head, less with the distance from it."""
    assert not isinstance(settings.body_rate, str) and not isinstance(settings.layer_decay, str)
    names = [name for name, _ in _named(network)]
    layers = list(dict.fromkeys(layer_of(name) for name in names if name not in head))
    far = {layer: len(layers) - 1 - position for position, layer in enumerate(layers)}
    return {
        name: 1.0 if name in head else settings.body_rate * settings.layer_decay ** far[layer_of(name)]
        for name in names
    }


def _named(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The weights under the names that they have where the network is not sharded."""
    for name, parameter in network.named_parameters():
        yield name.replace("_fsdp_wrapped_module.", ""), parameter


def layer_of(name: str) -> str:
    """The layer that a weight belongs to: its name up to the first part that ends with a digit."""
    parts = name.split(".")[:-1]
    for position, part in enumerate(parts):
        if part[-1].isdigit():
            return ".".join(parts[: position + 1])
    return ".".join(parts[:2])
