"""When a run ends before its last epoch, and why it did."""

from __future__ import annotations

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from torch import Tensor

from discerna.settings.early_stopping import EarlyStoppingSettings
from discerna.settings.train import METRIC_MODES, TrainSettings
from discerna.training.time_budget import TimeBudget


class ConsecutiveStopping(EarlyStopping):
    """The original's documented rule: an epoch must be better than the one before it, not than the best."""

    def _evaluate_stopping_criteria(self, current: Tensor) -> tuple[bool, str | None]:
        stop, reason = super()._evaluate_stopping_criteria(current)
        self.best_score = current
        return stop, reason


def build_stopping(settings: TrainSettings) -> EarlyStopping | None:
    """The callback of the settings, or None."""
    own = settings.early_stopping
    if not isinstance(own, EarlyStoppingSettings):
        return None
    cls = EarlyStopping if own.rule == "best" else ConsecutiveStopping
    return cls(
        monitor=settings.monitor,
        mode=METRIC_MODES[settings.monitor],
        patience=settings.patience,
        min_delta=own.min_delta,
        verbose=own.verbose,
        strict=own.strict,
        check_finite=own.check_finite,
        stopping_threshold=own.stopping_threshold,
        divergence_threshold=own.divergence_threshold,
        check_on_train_epoch_end=True if settings.monitor == "train_loss" else own.check_on_train_epoch_end,
        log_rank_zero_only=own.log_rank_zero_only,
    )


def reason(
    trainer: Trainer,
    stopping: EarlyStopping | None,
    settings: TrainSettings,
    budget: TimeBudget | None = None,
) -> str:
    """Why training ended, in words."""
    monitor = settings.monitor
    if budget is not None and budget.ended:
        return f"stopped by max_minutes={settings.max_minutes:g}"
    if stopping is not None and stopping.stopping_reason != EarlyStoppingReason.NOT_STOPPED:
        own = settings.early_stopping
        assert isinstance(own, EarlyStoppingSettings)
        against = "the best epoch" if own.rule == "best" else "the epoch before"
        epochs = "epoch" if settings.patience == 1 else "epochs"
        told = {
            EarlyStoppingReason.PATIENCE_EXHAUSTED: (
                f"stopped early: {monitor} was not better than {against} for {settings.patience} {epochs}"
            ),
            EarlyStoppingReason.NON_FINITE_METRIC: f"stopped early: {monitor} was not finite",
            EarlyStoppingReason.STOPPING_THRESHOLD: f"stopped early: {monitor} passed {own.stopping_threshold}",
            EarlyStoppingReason.DIVERGENCE_THRESHOLD: f"stopped early: {monitor} passed {own.divergence_threshold}",
        }
        return told[stopping.stopping_reason]
    if trainer.current_epoch < settings.epochs:
        limit = (
            "max_steps" if 0 < settings.trainer.max_steps <= trainer.global_step else "max_time or a callback"
        )
        return f"stopped by {limit}"
    return "all epochs trained"
