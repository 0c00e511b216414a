"""When a checkpoint is written, what it holds, and how a training stops so that it can go on."""

from __future__ import annotations

import copy
import logging
import signal
import time
import warnings
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from discerna.directories.checkpoint_files import checkpoint_name, checkpoints, remove_left_over
from discerna.directories.run_folder import RunFolder
from discerna.errors import Preempted, Pruned
from discerna.settings.checkpoint import CheckpointSettings
from discerna.settings.train import TrainSettings
from discerna.training import loop_state
from discerna.training.agreement import Agreement
from discerna.training.averaging import MovingAverage
from discerna.training.best_epoch import BestEpoch
from discerna.training.classifier import Classifier
from discerna.training.early_termination import EarlyTermination
from discerna.training.epoch_record import EpochRecord
from discerna.training.interruption import Interruption

LOG = logging.getLogger("discerna")

COST = 0.02
"""The share of the time that `every_minutes=auto` lets checkpoints take."""

WITHIN_EPOCH = 60.0
"""Seconds between two of them in mid-epoch; the end of an epoch is a better place."""

LOOK_EVERY = 50
"""Steps between two looks at the loss on a GPU, which each look makes wait."""


@dataclass
class Origin:
    """What a checkpoint says of the training that wrote it."""

    version: str
    epochs: int
    pieces: int
    processes: int
    rate: float
    """The factor of the learning rate, below 1 after a rollback."""


class Checkpoints(Callback):
    """Writes checkpoints between steps; the last of the callbacks, so that it sees what the others have made of one."""

    def __init__(
        self,
        folder: RunFolder,
        settings: TrainSettings,
        best: BestEpoch,
        record: EpochRecord,
        interruption: Interruption,
        origin: Origin,
        batches: int,
    ) -> None:
        """`batches`: how many an epoch has."""
        self._folder = folder
        self._how: CheckpointSettings = settings.checkpoint
        self._patience = timedelta(minutes=settings.launch.hang_timeout)
        self._best = best
        self._record = record
        self._termination = EarlyTermination(settings, folder.path)
        self._interruption = interruption
        self._origin = origin
        self._batches = batches
        self._trainer: Trainer | None = None
        self.has_started = False
        """Whether all that a checkpoint held has found its place."""
        self._loaded: Origin | None = None
        self._figures: dict[str, float] = {}
        self._needs: dict[str, int] = {}
        """Which best weights each checkpoint needs."""
        self._written_at = -1
        """The step of the last checkpoint; -1: none."""
        self._cost = 0.0
        self._due_validation = False
        self._need = 0
        self._stands: dict[str, Any] | None = None
        """What a checkpoint says of counters and callbacks, where it is written later than its moment."""
        self._writing = False

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Called by Lightning."""
        self._trainer = trainer

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Everything has been restored, and Lightning has set its own signal handlers."""
        if self._loaded is not None:
            _check_loaded(trainer, pl_module)
        self.has_started = True
        self._agreement = Agreement(trainer, self._patience)
        self._last = time.monotonic()
        if trainer.is_global_zero:
            remove_left_over(self._folder.checkpoints)
            for path in checkpoints(self._folder.checkpoints, after=trainer.global_step):
                path.unlink(missing_ok=True)  # damaged, or of a way that was not gone on with
        if self._loaded is not None:
            self._written_at = trainer.global_step
            # Where an epoch has no validation, callbacks see the figures of an earlier one.
            trainer.callback_metrics.update({name: torch.tensor(v) for name, v in self._figures.items()})
        before = self._loaded.rate if self._loaded else 1.0
        anew = self._loaded is not None and self._loaded.epochs != self._origin.epochs
        if self._origin.rate != before or anew:
            _plan_rates_anew(trainer, self._origin.rate / before)
        if anew and trainer.is_global_zero:
            rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)
            LOG.info(
                "the schedule is planned anew over %d epochs: the rate is %.2e now", self._origin.epochs, rate
            )
        self._interruption.listen()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Between two steps: look at the loss, write a checkpoint where one is due, stop where a signal has come."""
        if not loop_state.ends_a_step(trainer):
            return
        assert isinstance(pl_module, Classifier)
        self._due_validation = loop_state.validation_is_due(trainer)
        ends = self._due_validation or loop_state.ends_an_epoch(trainer)
        look = ends or pl_module.device.type == "cpu" or trainer.global_step % LOOK_EVERY == 0
        stop, due, diverged = self._agreement.highest(
            self._interruption.number,
            trainer.is_global_zero and self._is_due(trainer, ends),
            look and pl_module.has_diverged(),
        )
        if diverged:
            raise pl_module.diverged_error(trainer.global_step)
        self._need = self._best.number
        self._stands = self._standing(trainer) if ends else None
        if due or stop:
            self._write(trainer, pl_module)
        if stop:
            raise self._stopped(trainer, int(stop))

    def on_validation_batch_end(self, trainer: Trainer, pl_module: Any, *args: Any, **kwargs: Any) -> None:
        """A validation has no state to keep: it is stopped at once, and begins anew."""
        if trainer.sanity_checking:
            return
        (stop,) = self._agreement.highest(self._interruption.number)
        if stop:
            for callback in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, MovingAverage):
                    callback.end_validation(pl_module)
            self._write_where_it_stands(trainer, pl_module)
            raise self._stopped(trainer, int(stop))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """A job of a sweep ends here when others are better, and nothing else has ended it."""
        epoch, rows = trainer.current_epoch, self._record.rows
        if not self._termination.is_on or not rows or int(rows[-1]["epoch"]) != epoch:
            return
        reason = self._termination.verdict(rows) if trainer.is_global_zero else ""
        (ends,) = self._agreement.highest(bool(reason))
        if ends:
            self._write_where_it_stands(trainer, pl_module)
            raise Pruned(reason, epoch, trainer.global_step)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Keep the last state, from which more epochs can be trained."""
        self._write_where_it_stands(trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """No checkpoint here: the state may be in the midst of a step, and other processes may be gone."""

    def _is_due(self, trainer: Trainer, ends: bool) -> bool:
        every = self._how.every_steps
        if every is not None and trainer.global_step % every == 0:
            return True
        minutes = self._how.every_minutes
        if minutes is None:
            return False
        waited = time.monotonic() - self._last
        if minutes == "auto":
            return waited >= max(self._cost / COST, 0.0 if ends else WITHIN_EPOCH)
        return waited >= minutes * 60

    def _write_where_it_stands(self, trainer: Trainer, pl_module: Any) -> None:
        if self._stands is not None and self._written_at != trainer.global_step:
            self._write(trainer, pl_module)

    def _write(self, trainer: Trainer, pl_module: Any) -> None:
        """Write a checkpoint, in all processes; whatever is not finite is never kept."""
        assert isinstance(pl_module, Classifier)
        began = time.monotonic()
        (broken,) = self._agreement.highest(pl_module.has_diverged() or not _finite(pl_module))
        if broken:
            raise pl_module.diverged_error(trainer.global_step)
        step = trainer.global_step
        name = checkpoint_name(step)
        self._needs[name] = self._need
        self._writing = True
        try:
            trainer.save_checkpoint(self._folder.checkpoints / name, weights_only=False)
        finally:
            self._writing = False
        self._written_at = step
        if trainer.is_global_zero:
            self._remove_old()
        self._last = time.monotonic()
        self._cost = self._last - began

    def _remove_old(self) -> None:
        kept = checkpoints(self._folder.checkpoints)
        for path in kept[self._how.keep :]:
            path.unlink(missing_ok=True)
        needed = {self._needs[path.name] for path in kept[: self._how.keep] if path.name in self._needs}
        self._best.remove_unneeded(needed)

    def _stopped(self, trainer: Trainer, number: int) -> Preempted:
        return Preempted(signal.Signals(number).name, trainer.current_epoch + 1, trainer.global_step)

    def _standing(self, trainer: Trainer) -> dict[str, Any]:
        """Counters and callbacks as a checkpoint of this moment would hold them."""
        connector = trainer._checkpoint_connector
        callbacks = {callback.state_key: callback.state_dict() for callback in trainer.callbacks}  # type: ignore[attr-defined]
        return {
            "epoch": trainer.current_epoch,
            "loops": loop_state.after_batch(connector._get_loops_state_dict(), self._due_validation),
            "callbacks": copy.deepcopy({key: state for key, state in callbacks.items() if state}),
        }

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Let the checkpoint tell the moment between two steps."""
        if not self._writing:  # a user's own ModelCheckpoint
            return
        checkpoint.update(self._stands or self._standing(trainer))

    def state_dict(self) -> dict[str, Any]:
        """What else a checkpoint keeps."""
        assert self._trainer is not None
        figures = {name: float(value) for name, value in self._trainer.callback_metrics.items()}
        return {"origin": vars(self._origin).copy(), "needs": dict(self._needs), "figures": figures}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Fit the counters to how this training cuts its steps; plan anew what depends on the number of epochs."""
        state = checkpoint["callbacks"][self.state_key]
        self._loaded = Origin(**state["origin"])
        self._needs = dict(state["needs"])
        self._figures = state["figures"]
        loop_state.check(checkpoint["loops"])
        if self._loaded.pieces < 1 or not 0 < self._loaded.rate <= 1:
            raise ValueError("an origin that cannot be")
        if self._loaded.pieces != self._origin.pieces:
            loop_state.in_other_pieces(
                checkpoint["loops"], self._loaded.pieces, self._origin.pieces, self._batches
            )
        if self._loaded.epochs != self._origin.epochs:
            # How far a schedule had come down, and patience, are of the plan that is given up.
            for schedule in checkpoint["lr_schedulers"]:
                schedule["lr_lambdas"] = [None] * len(schedule["lr_lambdas"])
            for kept in checkpoint["callbacks"].values():
                if "landed_at" in kept:
                    kept.update(landed_at=None, wait_count=0, stopped_epoch=0)


def _plan_rates_anew(trainer: Trainer, factor: float) -> None:
    """Let the schedules say the rate of the next step again, all rates times `factor`."""
    for config in trainer.lr_scheduler_configs:
        schedule: Any = config.scheduler
        schedule.base_lrs = [rate * factor for rate in schedule.base_lrs]
        for group in schedule.optimizer.param_groups:
            group["initial_lr"] = group["initial_lr"] * factor
        # There is no other door: a step back, and forward again.
        schedule.last_epoch -= 1
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
            schedule.step()


def _check_loaded(trainer: Trainer, module: Classifier) -> None:
    """ValueError where weights or what an optimizer keeps of them cannot be from a training of this network."""
    if not _finite(module):
        raise ValueError("weights that are not finite")
    for optimizer in trainer.optimizers:
        for weight, kept in optimizer.state.items():
            for value in kept.values():
                if isinstance(value, torch.Tensor) and value.ndim and value.shape != weight.shape:
                    raise ValueError("what the optimizer keeps has another shape")


def _finite(module: Classifier) -> bool:
    """Whether all weights and statistics are."""
    tensors = [t for t in (*module.network.parameters(), *module.network.buffers()) if t.is_floating_point()]
    return bool(torch.stack([torch.isfinite(tensor).all() for tensor in tensors]).all()) if tensors else True
