"""The LightningModule around a network."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from discerna.errors import DivergedError
from discerna.images.keys import mix
from discerna.images.tensors import normalise, scaled, standardised
from discerna.images.variation import varies, vary
from discerna.machine import OFF, Machine
from discerna.metrics import LossMean, ValidationFigures
from discerna.networks.assembly import logits
from discerna.settings.preprocessing import Preprocessing
from discerna.settings.recipe import Recipe
from discerna.settings.train import METRIC_MODES, TrainSettings
from discerna.training.compilation import CompiledNetwork, mode_for
from discerna.training.keyed_loader import Work
from discerna.training.loss import PictureLoss
from discerna.training.mixing import Mixing
from discerna.training.optimization import build_optimizer
from discerna.training.schedules import build_schedule
from discerna.training.sharding import Sharded
from discerna.training.time_budget import TimeBudget


class Classifier(LightningModule):
    """Trains a network to tell labels apart."""

    def __init__(
        self,
        network: nn.Module,
        spec: Preprocessing,
        counts: Mapping[str, int],
        head: Collection[str],
        settings: TrainSettings,
        recipe: Recipe,
        machine: Machine,
        budget: TimeBudget | None = None,
    ) -> None:
        """`counts`: the training pictures of each label; `head`: the names of the head's weights."""
        super().__init__()
        self.network = network
        self.spec = spec
        self.head = frozenset(head)
        self.vectors = frozenset(name for name, weight in network.named_parameters() if weight.ndim < 2)
        """Biases and the like; sharded weights are all flat, so it is noted before."""
        self.settings = settings
        self.recipe = recipe
        self.machine = machine
        self.budget = budget
        self.mixing = Mixing(recipe.augmentation, len(counts))
        self.loss = PictureLoss(counts, recipe.label_weights, recipe.label_smoothing)
        self.train_loss = LossMean()
        self.validation = ValidationFigures(len(counts))
        self.learning_rate = recipe.learning_rate
        """The rate of the last step that was taken."""
        self.last_losses: Tensor
        """The losses of this process's share of the last piece of a step; empty where it had none."""
        self.on_trial = False
        """Whether only rates are tried out: without a schedule, and a loss that explodes is no fault."""
        self._diverged: Tensor | None = None
        self._compiled: CompiledNetwork | None = None
        if machine.compile.value != OFF:
            pieces = settings.trainer.accumulate_grad_batches
            share = settings.batch_size / (pieces * machine.processes.value)
            mode = mode_for(machine.compile.value, pieces)
            self._compiled = CompiledNetwork(network, mode, {math.floor(share), math.ceil(share)})

    def forward(self, pictures: Tensor) -> Any:
        """What the network answers to uint8 pictures."""
        return self._answers(normalise(pictures, self.spec))

    def _answers(self, ready: Tensor) -> Any:
        ready = ready.to(next(self.network.parameters()).dtype)
        if self.machine.channels_last.value:
            ready = ready.to(memory_format=torch.channels_last)
        return (self._compiled or self.network)(ready)

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
        mixed, targets = self.mixing(self._seen(batch), batch.labels)
        main, auxiliary = logits(self._answers(mixed))
        losses = self.loss(main, targets)
        self.last_losses = losses.detach() if batch.counted else losses.detach()[:0]
        self._watch(losses.detach())
        if batch.counted:
            self.train_loss.update(losses.detach())
        for weight, output in auxiliary:
            losses = losses + weight * self.loss(output, targets)
        # Lightning divides by the pieces, DDP by the processes; both are undone, then the step's size divides.
        scale = self.trainer.accumulate_grad_batches * self.trainer.world_size / batch.step_size
        total: Tensor = losses.sum() * (scale if batch.counted else 0.0)
        return total

    def _seen(self, batch: Work) -> Tensor:
        """The pictures of a training step, varied and normalised."""
        pictures = scaled(batch.pictures)
        if varies(self.recipe.augmentation):
            pictures = vary(pictures, batch.drawn, self.recipe.augmentation, self.spec)
        return standardised(pictures, self.spec)

    def _watch(self, losses: Tensor) -> None:
        """Note a loss that is not finite; asking a GPU at each step would make it wait."""
        if self.on_trial:
            return
        bad = ~torch.isfinite(losses).all()
        self._diverged = bad if self._diverged is None else self._diverged | bad
        # Several processes stop together when the step has ended, lest one waits for another that has gone.
        if self.device.type == "cpu" and self.trainer.world_size == 1 and self.has_diverged():
            raise self.diverged_error(self.trainer.global_step + 1)

    def has_diverged(self) -> bool:
        """Whether a loss of this process was NaN or infinite since the start."""
        return self._diverged is not None and bool(self._diverged)

    def diverged_error(self, step: int) -> DivergedError:
        """The error for a loss that was not finite in some process, in the step or shortly before."""
        return DivergedError(
            "the loss became NaN or infinite",
            where=f"epoch {self.current_epoch + 1}, step {step}",
            accepted="no model was written",
            remedy=f"use a learning_rate below {self.recipe.learning_rate:g}, trainer.gradient_clip_val=1.0"
            " or on_nan=rollback",
        )

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Remember the rate of this step."""
        self.learning_rate = float(optimizer.param_groups[0]["lr"])

    def on_validation_epoch_start(self) -> None:
        """Begin to add up."""
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
        recipe = self.recipe
        optimizer = build_optimizer(
            recipe.optimizer,
            self.network,
            recipe.learning_rate,
            fused=bool(self.machine.fused.value),
            head=self.head,
            vectors=self.vectors,
        )
        if self.on_trial:
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        schedule = build_schedule(
            recipe.scheduler,
            optimizer,
            rate=recipe.learning_rate,
            epochs=self.settings.epochs,
            steps=int(steps) if math.isfinite(steps) else 1,
            mode=METRIC_MODES[self.settings.monitor],
            budget=self.budget,
        )
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Called by Lightning, which refuses to clip for a fused optimizer, also where no scaler is at work."""
        strategy = self.trainer.strategy
        if isinstance(strategy, Sharded) and gradient_clip_val and gradient_clip_algorithm != "value":
            strategy.clip_norm(gradient_clip_val)
        elif gradient_clip_val is None or self.trainer.scaler is not None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_algorithm == "value":
            torch.nn.utils.clip_grad_value_(self.network.parameters(), gradient_clip_val)
        elif gradient_clip_val > 0:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip_val)
