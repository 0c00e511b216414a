"""A job of a sweep while it runs: its bar, and the epochs that it tells by its metrics.csv."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack

from discerna.directories.sweep_folder import SweepFolder, curve
from discerna.progress import SILENT, Progress
from discerna.sweeps.job import Job
from discerna.sweeps.placement import Place

LOG = logging.getLogger("discerna")


class Running:
    """A job whose process runs."""

    def __init__(self, job: Job, place: Place | None, folder: SweepFolder, progress: Progress) -> None:
        self.job = job
        self.place = place
        """What it may use; None: another process has started it, and is waited for."""
        self.began = time.monotonic()
        self._run = folder.run(job.number)
        self._monitor = job.settings.monitor
        self._shows_bars = progress is not SILENT
        self._told = len(curve(self._run, self._monitor))
        self._bar = ExitStack()
        self._advance = self._bar.enter_context(progress.task(f"  job {job.number}", job.settings.epochs))
        self._advance(self._told, "")

    def tell_epochs(self) -> None:
        """Tell of those that have ended since the last time."""
        found = curve(self._run, self._monitor)
        for epoch in sorted(found)[self._told :]:
            value = f"{self._monitor} {found[epoch]:.4g}"
            if not self._shows_bars:
                epochs = self.job.settings.epochs
                LOG.info("  job %d  epoch %d/%d  %s", self.job.number, epoch, epochs, value)
            self._advance(1, value)
            self._told += 1

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()
