"""A row an epoch: shown, written to metrics.csv, kept for training.json."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import Tensor

from discerna.progress import Advance, Progress
from discerna.settings.train import TrainSettings
from discerna.training.classifier import Classifier
from discerna.training.keyed_loader import Work

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
        self._bars = ExitStack()
        self._advance: Advance = lambda count, note: None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Open the epoch's bar."""
        pl_module.train_loss.reset()
        self._began = time.monotonic()
        self._trained = 0.0
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
        pl_module.raise_if_diverged()
        figures = {
            "train_loss": pl_module.train_loss.compute(),
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
        if done == 1 < steps:
            self._warmed = self._trained
        elif done == min(steps, MEASURED_STEPS + 1):
            self._foretell = False
            each = (self._trained - self._warmed) / (done - 1) if steps > 1 else self._trained
            seconds = self._trained + each * (steps - done)
            LOG.info("training on the CPU: about %s an epoch", duration(seconds))

    def _tell(self, row: dict[str, float]) -> None:
        columns = [
            (title, show(row))
            for title, show in COLUMNS
            if not (title == "top-5" and "valid_top5" not in row)
        ]
        if len(self.rows) == 1:
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


FIELDS = [
    "epoch", "train_loss", "valid_loss", "valid_accuracy", "valid_top5", "learning_rate", "pictures_per_second",
]  # fmt: skip
"""Columns of metrics.csv, the same for every run."""


def append_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to metrics.csv; a reader that follows the file sees whole lines."""
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, restval="")
        if fresh:
            writer.writeheader()
        writer.writerow({**row, "epoch": int(row["epoch"])})


def duration(seconds: float) -> str:
    """A rough time in words."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
