"""Optimizers and schedules, built from settings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from discerna.settings.optimizer import OptimizerSettings, SgdSettings
from discerna.settings.scheduler import AzurePolynomialSettings, CosineSettings, SchedulerSettings


def build_optimizer(settings: OptimizerSettings, network: nn.Module, rate: float, fused: bool) -> Optimizer:
    """The optimizer of the settings over all weights of the network that learn."""
    groups = _groups(network, settings.weight_decay, settings.decay_norm_and_bias)
    if isinstance(settings, SgdSettings):
        return torch.optim.SGD(
            groups, lr=rate, momentum=settings.momentum, nesterov=settings.nesterov, fused=fused
        )
    return torch.optim.AdamW(
        groups, lr=rate, betas=(settings.beta1, settings.beta2), eps=settings.eps, fused=fused
    )


def _groups(network: nn.Module, decay: float, everything: bool) -> list[dict[str, Any]]:
    """Weights that decay, and biases and normalisation weights that do not (they are vectors)."""
    learning = [p for p in network.parameters() if p.requires_grad]
    if everything or decay == 0:
        return [{"params": learning, "weight_decay": decay}]
    matrices = [p for p in learning if p.ndim > 1]
    vectors = [p for p in learning if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def build_schedule(
    settings: SchedulerSettings, optimizer: Optimizer, rate: float, epochs: int, steps: int
) -> dict[str, Any] | None:
    """Lightning's description of the schedule, or None for a constant rate."""
    if isinstance(settings, CosineSettings):
        return {"scheduler": LambdaLR(optimizer, cosine(settings.warmup, steps)), "interval": "step"}
    if isinstance(settings, AzurePolynomialSettings):
        return {
            "scheduler": LambdaLR(optimizer, azure_polynomial(settings, rate, epochs)),
            "interval": "epoch",
        }
    return None


def cosine(warmup: float, steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step: up a line, down half a cosine, 0 after the last."""
    rising = round(warmup * steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        share = (step - rising) / max(1, steps - rising)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))

    return factor


def azure_polynomial(settings: AzurePolynomialSettings, rate: float, epochs: int) -> Callable[[int], float]:
    """Factor of the learning rate in an epoch, as the original computed it."""
    warmup = settings.warmup_epochs

    def factor(epoch: int) -> float:
        if epoch < warmup:
            return (settings.warmup_start + (rate - settings.warmup_start) * epoch / warmup) / rate
        share = 1 - min(1.0, (epoch - warmup) / max(1, epochs - warmup))
        return float((settings.end + (rate - settings.end) * share**settings.power) / rate)

    return factor
