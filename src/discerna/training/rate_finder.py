"""`learning_rate=find`: some steps at a rising rate on a copy of the network tell which rate suits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from discerna.machine import Choice, Machine
from discerna.settings.train import TrainSettings
from discerna.training.classifier import Classifier
from discerna.training.data_module import PictureData
from discerna.training.trials import run_trial

LOWEST, HIGHEST = 1e-6, 1.0
STEPS = 100
USUAL = 0.001
"""What is used where no rate makes the loss fall."""

_MEMORY = 0.9
_EXPLODED = 4.0


def find_rate(classifier: Classifier, data: PictureData, settings: TrainSettings, machine: Machine) -> Choice:
    """The learning rate that a trial suggests; what `classifier` learns in it is of no use."""
    sweep = RateSweep()
    run_trial(classifier, data, settings, machine, [sweep], steps=STEPS)
    return suggestion(sweep.rates, sweep.losses)


class RateSweep(Callback):
    """Raises the rate at each step and notes the loss, until it explodes.

    Lightning's own finder sets one rate for all layers, and suggests where the loss falls steepest per unit of rate,
    which is always near the lowest rates.
    """

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []
        """Smoothed."""
        self._shares: list[float] = []
        self._sum = 0.0
        self._pieces: list[Tensor] = []
        """Sum and number of the losses of each piece of the step, in this process."""

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Remember by how much the layers' rates differ."""
        rates = [float(group["lr"]) for group in trainer.optimizers[0].param_groups]
        self._shares = [rate / max(rates) for rate in rates]

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Set the rate of a step that begins."""
        if self._pieces:
            return
        rate = LOWEST * (HIGHEST / LOWEST) ** (len(self.rates) / (STEPS - 1))
        for group, share in zip(trainer.optimizers[0].param_groups, self._shares, strict=True):
            group["lr"] = rate * share
        self.rates.append(rate)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss of the whole step, the same on all processes."""
        losses = pl_module.last_losses
        self._pieces.append(torch.stack([losses.sum(), losses.new_full((), losses.numel())]))
        if trainer.global_step < len(self.rates):  # a piece, and others will follow
            return
        total, count = trainer.strategy.reduce(torch.stack(self._pieces).sum(dim=0), reduce_op="sum")
        self._pieces.clear()
        value = float(total / count)
        self._sum = _MEMORY * self._sum + (1 - _MEMORY) * value
        self.losses.append(self._sum / (1 - _MEMORY ** len(self.rates)))
        exploded = not self.losses[-1] <= _EXPLODED * min(self.losses)
        if exploded or len(self.rates) >= STEPS:
            trainer.should_stop = True


def suggestion(rates: Sequence[float], losses: Sequence[float]) -> Choice:
    """A tenth of the rate at which the loss was lowest: still falling fast, far from exploding."""
    finite = [(loss, rate) for rate, loss in zip(rates, losses, strict=True) if math.isfinite(loss)]
    lowest, rate = min(finite, default=(math.inf, 0.0))
    if not finite or lowest > 0.98 * losses[0]:
        return Choice(USUAL, "no rate made the loss fall; this is the usual one")
    return Choice(
        float(f"{rate / 10:.1e}"), f"a tenth of {rate:.1e}, at which the loss was lowest in a trial"
    )
