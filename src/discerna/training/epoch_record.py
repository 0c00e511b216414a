"""A row an epoch: shown, written to metrics.csv, kept for training.json."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import Tensor

from discerna.directories.metrics_file import append_row, write_rows
from discerna.progress import Advance, Progress
from discerna.settings.train import TrainSettings
from discerna.training.classifier import Classifier
from discerna.training.keyed_loader import Work
from discerna.wording import duration

LOG = logging.getLogger("discerna")

MEASURED_STEPS = 3
"""Steps from which the time of an epoch is foretold, after a first one that warms up."""


class EpochRecord(Callback):
    """Gathers the figures of each epoch and tells how the run advances."""

    def __init__(
        self,
        settings: TrainSettings,
        metrics_file: Path | None,
        progress: Progress,
        foretell: bool,
        on_row: Callable[[dict[str, float]], None],
    ) -> None:
        self.rows: list[dict[str, float]] = []
        self._settings = settings
        self._file = metrics_file
        self._progress = progress
        self._foretell = foretell
        self._on_row = on_row
        self._headed = False
        self._resumed: dict[str, Any] | None = None
        self._first: tuple[int, float] | None = None
        """The first step of this process: its number, and the time it took the epoch to get there."""
        self._bars = ExitStack()
        self._advance: Advance = lambda count, note: None

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Let metrics.csv say what this training knows; go on in the midst of an epoch."""
        if trainer.is_global_zero and self._file is not None:
            write_rows(self._file, self.rows)
        if self._resumed is None:
            return
        pl_module.learning_rate = float(self._resumed["rate"])
        pl_module.train_loss.reset()
        if trainer.is_global_zero:
            pl_module.train_loss.go_on_from(self._resumed["loss"], pl_module.device)
        self._open_epoch(trainer, float(self._resumed["trained"]))
        self._seen, self._validated = int(self._resumed["seen"]), bool(self._resumed["validated"])
        self._advance(trainer.fit_loop.epoch_loop.batch_progress.current.ready, "")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Begin to add up."""
        pl_module.train_loss.reset()
        self._open_epoch(trainer, 0.0)

    def _open_epoch(self, trainer: Trainer, trained: float) -> None:
        self._began = time.monotonic() - trained
        self._trained = trained
        self._seen = 0
        self._validated = False
        name = f"epoch {trainer.current_epoch + 1}/{self._settings.epochs}"
        self._open(name, int(trainer.num_training_batches))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Work, batch_idx: int
    ) -> None:
        """Advance the bar; foretell the time of an epoch once."""
        self._trained = time.monotonic() - self._began
        self._seen += len(batch.labels) if batch.counted else 0
        self._advance(1, "")
        if self._foretell:
            self._tell_time(batch_idx + 1, int(trainer.num_training_batches))

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Replace the bar by that of the validation."""
        if not trainer.sanity_checking:
            self._open("  validation", sum(int(n) for n in trainer.num_val_batches))

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """The figures of the validation are of this epoch."""
        self._validated = not trainer.sanity_checking

    def on_validation_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Advance the bar."""
        self._advance(1, "")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Make the row of the epoch."""
        self._close()
        assert isinstance(pl_module, Classifier)
        figures = {
            "train_loss": pl_module.train_loss.compute(pl_module.device),
            "learning_rate": pl_module.learning_rate,
            # The shares of all processes are equal but for the last step.
            "pictures_per_second": self._seen * trainer.world_size / max(self._trained, 1e-9),
        }
        pl_module.log_dict(figures, sync_dist=False)
        measured = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if self._validated and name.startswith("valid_") and isinstance(value, Tensor)
        }
        row = {"epoch": float(trainer.current_epoch + 1), **figures, **measured}
        self.rows.append(row)
        if trainer.is_global_zero:
            self._tell(row)
            if self._file is not None:
                append_row(self._file, row)
            self._on_row(row)

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Called by Lightning."""
        self._module: Classifier = pl_module

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; all processes ask, since the loss is added up over them."""
        return {
            "rows": [dict(row) for row in self.rows],
            "trained": self._trained,
            "seen": self._seen,
            "validated": self._validated,
            "loss": self._module.train_loss.sums(self._module.device),
            "rate": self._module.learning_rate,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Called by Lightning."""
        self._resumed = state_dict
        self.rows[:] = state_dict["rows"]

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Leave no bar behind."""
        self._close()

    def _open(self, name: str, total: int) -> None:
        self._close()
        self._advance = self._bars.enter_context(self._progress.task(name, total))

    def _close(self) -> None:
        self._bars.close()
        self._advance = lambda count, note: None

    def _tell_time(self, done: int, steps: int) -> None:
        """Foretell the epoch from some steps after the first one of this process, which warms up."""
        if self._first is None:
            self._first = (done, self._trained)
            if steps > 1:
                return
        first, warmed = self._first
        if done == steps or done == first + MEASURED_STEPS:
            self._foretell = False
            each = (self._trained - warmed) / (done - first) if done > first else self._trained
            LOG.info("training on the CPU: about %s an epoch", duration(warmed + each * (steps - first)))

    def _tell(self, row: dict[str, float]) -> None:
        columns = [
            (title, show(row))
            for title, show in COLUMNS
            if not (title == "top-5" and "valid_top5" not in row)
        ]
        if not self._headed:
            self._headed = True
            LOG.info("%s", "  ".join(title.rjust(width_of(title)) for title, _ in columns))
        LOG.info("%s", "  ".join(text.rjust(width_of(title)) for title, text in columns))


def _figure(name: str, form: str) -> Any:
    return lambda row: format(row[name], form) if name in row else "-"


COLUMNS: list[tuple[str, Any]] = [
    ("epoch", lambda row: str(int(row["epoch"]))),
    ("train loss", _figure("train_loss", ".4f")),
    ("valid loss", _figure("valid_loss", ".4f")),
    ("accuracy", _figure("valid_accuracy", ".2%")),
    ("top-5", _figure("valid_top5", ".2%")),
    ("rate", _figure("learning_rate", ".2e")),
    ("pictures/s", _figure("pictures_per_second", ".0f")),
]
"""Columns of the epoch table."""


def width_of(title: str) -> int:
    """The width of a column: wide enough for its figures."""
    return max(len(title), 8 if title in ("rate", "top-5") else 5)
