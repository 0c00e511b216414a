"""When a run ends before its last epoch, and why it did."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from torch import Tensor

from discerna.directories.run_result import ALL_EPOCHS
from discerna.settings.early_stopping import EarlyStoppingSettings
from discerna.settings.train import METRIC_MODES, TrainSettings
from discerna.training.schedules import Landing
from discerna.training.time_budget import TimeBudget
from discerna.wording import counted


class PatientStopping(EarlyStopping):
    """Lightning's rule or the original's, and a few epochs more in which the rate falls to 0.

    Where nothing improves at a high rate, much does at a falling one: stopping in mid-schedule would throw that away.
    """

    def __init__(self, *, rule: str, cooldown: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._rule = rule
        self._cooldown = cooldown
        self._landed_at: int | None = None
        """The schedule's step at which the rate has come down, once that has begun."""

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Called by Lightning."""
        super().setup(trainer, pl_module, stage)
        self._trainer = trainer

    def _evaluate_stopping_criteria(self, current: Tensor) -> tuple[bool, str | None]:
        stop, reason = super()._evaluate_stopping_criteria(current)
        if (
            self._rule == "consecutive"
        ):  # as the original documented: better than the epoch before, not than the best
            self.best_score = current
        if stop and self.stopping_reason != EarlyStoppingReason.PATIENCE_EXHAUSTED:
            return stop, reason
        if self._landed_at is not None:
            self.stopping_reason = EarlyStoppingReason.PATIENCE_EXHAUSTED
            down = all(config.scheduler.last_epoch >= self._landed_at for config in self._schedules())
            return down, "The rate has come down." if down else None
        if stop and self._cooldown and self._is_too_early():
            return False, None
        if stop and self._lands():
            return False, f"{reason} The rate is brought down first."
        return stop, reason

    def _validate_condition_metric(self, logs: dict[str, Tensor]) -> bool:
        limit = self._trainer.max_steps
        if self.monitor not in logs and 0 < limit <= self._trainer.global_step:
            return False  # the training is over before its first validation
        return super()._validate_condition_metric(logs)

    def _is_too_early(self) -> bool:
        """Whether Lightning would train on, because of min_epochs or min_steps."""
        trainer = self._trainer
        return trainer.current_epoch + 1 < (trainer.min_epochs or 0) or trainer.global_step < (
            trainer.min_steps or 0
        )

    def _schedules(self) -> list[Any]:
        """Those whose rate can be brought down."""
        return [
            config
            for config in self._trainer.lr_scheduler_configs
            if isinstance(getattr(config.scheduler, "lr_lambdas", [None])[0], Landing)  # one for all groups
        ]

    def _lands(self) -> bool:
        """Begin to bring the rate down; False where there is no cooldown, or the schedule knows none."""
        schedules = self._schedules() if self._cooldown else []
        for config in schedules:
            pieces = self._trainer.accumulate_grad_batches
            steps = self._cooldown * -(-int(self._trainer.num_training_batches) // pieces)
            config.scheduler.lr_lambdas[0].begin(config.scheduler.last_epoch, steps)
            self._landed_at = config.scheduler.last_epoch + steps
        return bool(schedules)

    def state_dict(self) -> dict[str, Any]:
        """Lightning's, and how far the cooldown has come."""
        return {**super().state_dict(), "landed_at": self._landed_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Called by Lightning."""
        super().load_state_dict(state_dict)
        self._landed_at = state_dict.get("landed_at")

    @property
    def cooled_down(self) -> bool:
        """Whether the rate was brought down before the end."""
        return self._landed_at is not None


def build_stopping(settings: TrainSettings) -> PatientStopping | None:
    """The callback of the settings, or None."""
    own = settings.early_stopping
    if not isinstance(own, EarlyStoppingSettings):
        return None
    return PatientStopping(
        rule=own.rule,
        cooldown=own.cooldown,
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
    stopping: PatientStopping | None,
    settings: TrainSettings,
    budget: TimeBudget | None = None,
) -> str:
    """Why training ended, in words."""
    monitor = settings.monitor
    if budget is not None and budget.ended:
        return f"stopped by max_minutes={settings.max_minutes:g}"
    if stopping is not None and stopping.stopping_reason_message:  # only then has it stopped anything
        own = settings.early_stopping
        assert isinstance(own, EarlyStoppingSettings)
        against = "the best epoch" if own.rule == "best" else "the epoch before"
        epochs = "epoch" if settings.patience == 1 else "epochs"
        cooled = counted(own.cooldown, "epoch")
        told = {
            EarlyStoppingReason.PATIENCE_EXHAUSTED: (
                f"stopped early: {monitor} was not better than {against} for {settings.patience} {epochs}"
                + (f", and the rate was brought down in {cooled}" if stopping.cooled_down else "")
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
    return ALL_EPOCHS
