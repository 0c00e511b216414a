"""The weights of the best epoch so far, kept until no checkpoint needs them any more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import Tensor

from discerna.directories.checkpoint_files import best_files, best_name
from discerna.errors import DivergedError
from discerna.settings.train import METRIC_MODES, Metric
from discerna.training.averaging import MovingAverage
from discerna.training.checkpoint_io import read_checkpoint, write_checkpoint

_PREFIX = "network."


class BestEpoch(Callback):
    """Keeps the weights that were best by `monitor`.

    Lightning's ModelCheckpoint removes the best before when there is a better one. A training that is killed then and
    goes on from a checkpoint before that moment would look for weights that are gone.
    """

    def __init__(self, folder: Path, monitor: Metric) -> None:
        self._folder = folder
        self._monitor = monitor
        self._sign = 1.0 if METRIC_MODES[monitor] == "min" else -1.0
        self._looked = 0
        self._best: float | None = None
        self._number = 0
        self.epoch = 0
        """That of the best weights, counted from 1; 0: there are none."""

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Look at the figures of a validation."""
        if not trainer.sanity_checking and self._monitor != "train_loss":
            self._look(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Look at the loss of the training, which is known only now."""
        if self._monitor == "train_loss":
            self._look(trainer, pl_module)

    def _look(self, trainer: Trainer, pl_module: Any) -> None:
        figure = trainer.callback_metrics.get(self._monitor)
        if figure is None:
            return
        self._looked += 1
        value = self._sign * float(figure)
        if not math.isfinite(value) or (self._best is not None and value >= self._best):
            return
        self._best, self._number, self.epoch = value, self._looked, trainer.current_epoch + 1
        state = _averaged(trainer)
        if state is None:
            state = trainer.strategy.lightning_module_state_dict()  # all processes: with FSDP each has a part
        if trainer.is_global_zero:
            write_checkpoint(
                {"epoch": self.epoch, "state_dict": state}, self._folder / best_name(self._number)
            )

    def weights(self) -> dict[str, Tensor]:
        """The network's best weights; only where `epoch` is not 0."""
        # Never falls back to unpickling: the file is ours, but it may have been replaced.
        state = read_checkpoint(self._folder / best_name(self._number))["state_dict"]
        return network_weights(state)

    def raise_if_never_finite(self) -> None:
        """An error where epochs were looked at and none had a finite figure."""
        if self._looked and not self.epoch:
            raise DivergedError(
                f"{self._monitor} was not finite in any epoch",
                accepted="no model was written",
                remedy="use a smaller learning_rate",
            )

    @property
    def number(self) -> int:
        """By which a checkpoint says which weights it needs."""
        return self._number

    def remove_unneeded(self, needed: set[int]) -> None:
        """Remove weights that neither the training nor a checkpoint needs."""
        kept = {best_name(number) for number in needed | {self._number}}
        for path in best_files(self._folder):
            if path.name not in kept:
                with suppress(OSError):
                    path.unlink()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"looked": self._looked, "best": self._best, "number": self._number, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Called by Lightning."""
        self._looked, self._best = int(state_dict["looked"]), state_dict["best"]
        self._number, self.epoch = int(state_dict["number"]), int(state_dict["epoch"])
        if self.epoch and not (self._folder / best_name(self._number)).is_file():
            raise ValueError("its best weights are not there")


def network_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the network in a classifier's state, on the CPU."""
    return {
        name.removeprefix(_PREFIX): value.detach().cpu()
        for name, value in state.items()
        if name.startswith(_PREFIX)
    }


def _averaged(trainer: Trainer) -> dict[str, Any] | None:
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, MovingAverage):
            return callback.averaged()
    return None
