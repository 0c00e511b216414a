"""One training as curves and pictures of TensorBoard, in the run folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from discerna.directories.run_folder import RunFolder
from discerna.directories.run_status import State
from discerna.errors import MissingExtraError
from discerna.settings.logger import TensorBoardLoggerSettings
from discerna.tracking.tracker import Data

if TYPE_CHECKING:
    from PIL.Image import Image

LOG = logging.getLogger("discerna")

FOLDER = "tensorboard"

CURVES = {
    "train_loss": "loss/train",
    "valid_loss": "loss/validation",
    "valid_accuracy": "accuracy/validation",
    "valid_top5": "accuracy/validation_top5",
    "learning_rate": "learning_rate",
    "pictures_per_second": "pictures_per_second",
}
"""Where TensorBoard shows each metric: what stands before the slash is a card of its own."""


class TensorBoardTracker:
    """Writes event files; a disk that fails costs the curves, not the training."""

    def __init__(self, logger: TensorBoardLoggerSettings, folder: RunFolder) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError:
            raise MissingExtraError.of("tensorboard", "tensorboard", "logger=tensorboard") from None
        self.wants_pictures = logger.pictures
        self._epoch = 0
        self._broken = False
        self._writer: Any = None
        self._place = folder.path / FOLDER

        def open_writer() -> None:
            self._writer = SummaryWriter(str(self._place))

        self._try(open_writer)

    def settled(self, settings: Mapping[str, Any], data: list[Data]) -> None:
        """The settings as a table of text."""
        lines = ["| setting | value |", "|---|---|"]
        lines += [f"| {key} | {str(value).replace('|', '/')} |" for key, value in settings.items()]
        lines += [f"| {one.setting} fingerprint | {one.fingerprint} |" for one in data]
        self._try(lambda: self._writer.add_text("settings", "\n".join(lines)))

    def epoch(self, row: Mapping[str, float]) -> None:
        """A point of each curve."""
        self._epoch = int(row["epoch"])

        def write() -> None:
            for name, value in row.items():
                if name in CURVES:
                    self._writer.add_scalar(CURVES[name], float(value), self._epoch)
            self._writer.flush()

        self._try(write)

    def picture(self, name: str, image: Image) -> None:
        """A picture at the epoch that it shows."""
        pixels = np.asarray(image.convert("RGB"))
        self._try(lambda: self._writer.add_image(name, pixels, self._epoch, dataformats="HWC"))

    def model(self, output: Path, figures: Mapping[str, float]) -> None:
        """The figures that count."""

        def write() -> None:
            for name, value in figures.items():
                self._writer.add_scalar(f"final/{name}", float(value), self._epoch)

        self._try(write)

    def end(self, state: State, reason: str) -> None:
        """Bring all to the disk."""
        self._try(lambda: self._writer.add_text("end", f"{state}: {reason}"))
        self._try(lambda: self._writer.close())

    def _try(self, write: Callable[[], object]) -> None:
        if self._broken:
            return
        try:
            write()
        except Exception as error:  # whatever the library raises, the training is worth more
            self._broken = True
            LOG.warning("%s: no more curves: %s; the training goes on", self._place, error)
