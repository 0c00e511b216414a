"""Epochs in which only the head learns."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

LOG = logging.getLogger("discerna")


class BodyFreezing(Callback):
    """Keeps the body as it is for the first epochs; batch statistics too, which would drift otherwise."""

    # By hand and not by Lightning's BaseFinetuning, which wants the body as one module and adds its weights to the
    # optimizer later: here any network will do, and an epoch's state follows from its number alone.

    def __init__(self, epochs: int, head: Collection[str]) -> None:
        self._epochs = epochs
        self._head = frozenset(head)
        self._was_frozen = False

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """A training may go on in the midst of an epoch, whose start it does not see."""
        self._freeze(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Freeze or thaw, as the epoch's number says."""
        before = self._was_frozen
        self._freeze(trainer, pl_module)
        if before and not self._was_frozen:
            LOG.info("the body learns from now on")

    def _freeze(self, trainer: Trainer, pl_module: Any) -> None:
        network: nn.Module = pl_module.network
        frozen = self._was_frozen = trainer.current_epoch < self._epochs
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name in self._head or not frozen)
            if frozen and name not in self._head:
                parameter.grad = None
        for name, module in network.named_modules():
            if isinstance(module, _BatchNorm):
                module.train(not frozen or any(own.startswith(f"{name}.") for own in self._head))
