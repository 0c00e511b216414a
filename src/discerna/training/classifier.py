"""The LightningModule around a network."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from discerna.errors import DivergedError
from discerna.images.keys import mix
from discerna.images.tensors import normalise
from discerna.machine import Machine
from discerna.metrics import LossMean, ValidationFigures
from discerna.networks.assembly import logits
from discerna.settings.preprocessing import Preprocessing
from discerna.settings.train import TrainSettings
from discerna.training.keyed_loader import Work
from discerna.training.optimization import build_optimizer, build_schedule


class Classifier(LightningModule):
    """Trains a network to tell labels apart."""

    def __init__(
        self, network: nn.Module, spec: Preprocessing, labels: int, settings: TrainSettings, machine: Machine
    ) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.settings = settings
        self.machine = machine
        self.train_loss = LossMean()
        self.validation = ValidationFigures(labels)
        self.learning_rate = settings.learning_rate
        """The rate of the last step that was taken."""
        self._diverged: Tensor | None = None

    def forward(self, pictures: Tensor) -> Any:
        """What the network answers to uint8 pictures."""
        ready = normalise(pictures, self.spec).to(next(self.network.parameters()).dtype)
        if self.machine.channels_last.value:
            ready = ready.to(memory_format=torch.channels_last)
        return self.network(ready)

    def on_train_batch_start(self, batch: Work, batch_idx: int) -> None:
        """Dropout and the like draw from (seed, epoch, step, process), so that a restart repeats them."""
        key = mix(
            "step", int(self.settings.random_seed or 0), self.current_epoch, batch_idx, self.global_rank
        )
        # torch.manual_seed would also reach for devices that are not used.
        torch.default_generator.manual_seed(key)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(key)
        elif self.device.type == "mps":
            torch.mps.manual_seed(key)

    def training_step(self, batch: Work, batch_idx: int) -> Tensor:
        """The loss of this process's share of a step, scaled so that each picture of the step weighs the same."""
        main, auxiliary = logits(self(batch.pictures))
        losses = cross_entropy(main.float(), batch.labels, reduction="none")
        self._watch(losses.detach())
        if batch.counted:
            self.train_loss.update(losses.detach())
        for weight, output in auxiliary:
            losses = losses + weight * cross_entropy(output.float(), batch.labels, reduction="none")
        # Lightning divides by the pieces, DDP by the processes; both are undone, then the step's size divides.
        scale = self.trainer.accumulate_grad_batches * self.trainer.world_size / batch.step_size
        return losses.sum() * (scale if batch.counted else 0.0)

    def _watch(self, losses: Tensor) -> None:
        """Note a loss that is not finite; asking a GPU at each step would make it wait."""
        bad = ~torch.isfinite(losses).all()
        self._diverged = bad if self._diverged is None else self._diverged | bad
        if self.device.type == "cpu" or self.trainer.global_step % 50 == 0:
            self.raise_if_diverged()

    def raise_if_diverged(self) -> None:
        """Raise DivergedError if a loss since the start was NaN or infinite."""
        if self._diverged is not None and bool(self._diverged):
            raise DivergedError(
                "the loss became NaN or infinite",
                where=f"epoch {self.current_epoch + 1}, step {self.trainer.global_step + 1}",
                accepted="no model was written",
                remedy=f"use a learning_rate below {self.settings.learning_rate:g}"
                " or trainer.gradient_clip_val=1.0",
            )

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Remember the rate of this step."""
        self.learning_rate = float(optimizer.param_groups[0]["lr"])

    def on_validation_epoch_start(self) -> None:
        """A model that has diverged is not worth validating."""
        self.raise_if_diverged()
        self.validation.reset()

    def validation_step(self, batch: Work, batch_idx: int) -> None:
        """Add a batch to the validation figures."""
        main, _ = logits(self(batch.pictures))
        if batch.counted:
            losses = cross_entropy(main.float(), batch.labels, reduction="none")
            self.validation.update(main.float(), batch.labels, losses)

    def on_validation_epoch_end(self) -> None:
        """Hand the figures to callbacks and loggers; torchmetrics has them from all processes."""
        self.log_dict(self.validation.compute(), rank_zero_only=False, sync_dist=False)

    def configure_optimizers(self) -> Any:
        """Called by Lightning."""
        rate, epochs = self.settings.learning_rate, self.settings.epochs
        optimizer = build_optimizer(
            self.settings.optimizer, self.network, rate, fused=bool(self.machine.fused.value)
        )
        steps = self.trainer.estimated_stepping_batches
        total = int(steps) if math.isfinite(steps) else 1
        schedule = build_schedule(self.settings.scheduler, optimizer, rate, epochs, total)
        return {"optimizer": optimizer, "lr_scheduler": schedule} if schedule else optimizer
