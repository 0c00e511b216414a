"""How the learning rate moves: factors by which it is multiplied at a step, all the same for every layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from discerna.settings.recipe import ChosenScheduler
from discerna.settings.scheduler import (
    AzurePolynomialSettings,
    ConstantSettings,
    CosineSettings,
    OneCycleSettings,
    PlateauSettings,
    PolynomialSettings,
)
from discerna.training.time_budget import TimeBudget

Factor = Callable[[float], float]


def build_schedule(
    settings: ChosenScheduler,
    optimizer: Optimizer,
    *,
    rate: float,
    epochs: int,
    steps: int,
    mode: str = "min",
    budget: TimeBudget | None = None,
) -> dict[str, Any]:
    """Lightning's description of the schedule; with a time budget it ends when the time does."""
    if isinstance(settings, AzurePolynomialSettings):
        schedule = LambdaLR(optimizer, azure_polynomial(settings, rate, epochs))
        return {"scheduler": schedule, "interval": "epoch"}
    factor = factor_of(settings, steps, mode)
    if not isinstance(factor, Plateau) and budget is not None:
        factor = _hurried(factor, steps, budget)
    if not isinstance(factor, Plateau):  # which lowers the rate by itself where nothing improves
        factor = Landing(factor)
    if isinstance(settings, OneCycleSettings) and settings.momentum_range is not None:
        return {"scheduler": OneCycle(optimizer, factor, settings.momentum_range), "interval": "step"}
    return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


def factor_of(settings: ChosenScheduler, steps: int, mode: str = "min") -> Factor:
    """The factor at each step of so many."""
    if isinstance(settings, OneCycleSettings):
        return one_cycle(settings, steps)
    if isinstance(settings, PlateauSettings):
        return Plateau(settings, steps, mode)
    if isinstance(settings, ConstantSettings):
        return _warmed(settings.warmup, steps, lambda share: 1.0)
    if isinstance(settings, CosineSettings):
        end = settings.end
        return _warmed(settings.warmup, steps, lambda share: end + (1 - end) * _half_cosine(share))
    assert isinstance(settings, PolynomialSettings)
    end, power = settings.end, settings.power
    return _warmed(settings.warmup, steps, lambda share: end + (1 - end) * (1 - share) ** power)


def _half_cosine(share: float) -> float:
    """From 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * share))


def _warmed(warmup: float, steps: int, fall: Factor) -> Factor:
    """Up a line, then `fall` over the steps that are left."""
    rising = round(warmup * steps)

    def factor(step: float) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return fall(min(1.0, (step - rising) / max(1, steps - rising)))

    return factor


def one_cycle(settings: OneCycleSettings, steps: int) -> Factor:
    """Half a cosine from `start` up to 1, another one down to `end`."""
    rising = settings.warmup * steps

    def factor(step: float) -> float:
        if step < rising:
            return 1 - (1 - settings.start) * _half_cosine(step / rising)
        share = min(1.0, (step - rising) / max(1.0, steps - rising))
        return settings.end + (1 - settings.end) * _half_cosine(share)

    return factor


class OneCycle(LambdaLR):
    """A schedule whose momentum is highest where the rate is lowest, as the one-cycle policy has it."""

    def __init__(self, optimizer: Optimizer, factor: Factor, momentum: list[float]) -> None:
        self._least, self._most = momentum
        super().__init__(optimizer, factor)

    def get_lr(self) -> Any:
        """Called by torch at each step; moves the momentum on the way."""
        value = self._most - (self._most - self._least) * self.lr_lambdas[0](self.last_epoch)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (value, group["betas"][1])
            else:
                group["momentum"] = value
        return super().get_lr()


class Plateau:
    """A factor that falls when the monitored figure stands still; its state lies in checkpoints as LambdaLR's."""

    def __init__(self, settings: PlateauSettings, steps: int, mode: str) -> None:
        self.rising = round(settings.warmup * steps)
        self.lowered_by = settings.factor
        self.patience = settings.wait
        self.end = settings.end
        self.sign = 1.0 if mode == "min" else -1.0
        self.best = math.inf
        self.waited = 0
        self.scale = 1.0

    def __call__(self, step: float) -> float:
        """The factor at a step."""
        return self.scale * min(1.0, (step + 1) / (self.rising + 1))

    def observe(self, figure: float) -> None:
        """Take note of the figure of an epoch."""
        if self.sign * figure < self.best:
            self.best, self.waited = self.sign * figure, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.scale, self.waited = max(self.end, self.scale * self.lowered_by), 0


class Landing:
    """A factor that can be brought down to 0 ahead of time; how far that has come lies in checkpoints as LambdaLR's."""

    __slots__ = (
        "__dict__",
        "_factor",
    )  # what LambdaLR keeps is the __dict__: not the factor, which may be a function

    def __init__(self, factor: Factor) -> None:
        self._factor = factor
        self.from_step = math.inf
        self.height = 0.0
        self.steps = 1

    def begin(self, step: int, steps: int) -> None:
        """Let the factor fall in a line from `step` on, over so many steps."""
        self.from_step, self.height, self.steps = step, self._factor(step), max(1, steps)

    def __call__(self, step: float) -> float:
        """The factor at a step; never above what it would be anyway."""
        if step <= self.from_step:
            return self._factor(step)
        left = 1 - min(1.0, (step - self.from_step) / self.steps)
        return min(self._factor(step), self.height * left)


class PlateauWatch(Callback):
    """Shows the plateau schedule the figure of each epoch."""

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor
        self._validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Called by Lightning when the figures of a validation are there."""
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Called by Lightning when the figures of the epoch are there."""
        # Without a validation Lightning shows the figures of an earlier one.
        if not self._validated and self._monitor != "train_loss":
            return
        self._validated = False
        figure = trainer.callback_metrics.get(self._monitor)
        for config in trainer.lr_scheduler_configs:
            factor = getattr(config.scheduler, "lr_lambdas", [None])[0]  # one for all groups of weights
            if isinstance(factor, Plateau) and figure is not None:
                factor.observe(float(figure))

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"validated": self._validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Called by Lightning."""
        self._validated = bool(state_dict["validated"])


def _hurried(factor: Factor, steps: int, budget: TimeBudget) -> Factor:
    """The factor at the step, or at the share of the time that has gone, whichever is further on."""
    return lambda step: factor(max(step, budget.share * steps))


def azure_polynomial(settings: AzurePolynomialSettings, rate: float, epochs: int) -> Factor:
    """Factor of the learning rate in an epoch, as the original computed it."""
    warmup = settings.warmup_epochs

    def factor(epoch: float) -> float:
        if epoch < warmup:
            return (settings.warmup_start + (rate - settings.warmup_start) * epoch / warmup) / rate
        share = 1 - min(1.0, (epoch - warmup) / max(1, epochs - warmup))
        return float((settings.end + (rate - settings.end) * share**settings.power) / rate)

    return factor
