"""What a training tells a tracker, whichever it is; none of it can stop the training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from discerna.directories.run_folder import RunFolder
from discerna.directories.run_status import State, end_of
from discerna.settings.logger import MlflowLoggerSettings, TensorBoardLoggerSettings
from discerna.settings.train import TrainSettings

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Data:
    """A directory that a training uses."""

    setting: str
    path: Path
    fingerprint: str
    pictures: int


class Tracker(Protocol):
    """Hears of one training, from its start to its end."""

    wants_pictures: bool

    def settled(self, settings: Mapping[str, Any], data: list[Data]) -> None:
        """What was resolved before the first step: dotted settings, and the data."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """The metrics of an epoch."""

    def picture(self, name: str, image: Image) -> None:
        """Something to look at, such as `training`."""

    def model(self, output: Path, figures: Mapping[str, float]) -> None:
        """The trained model directory and its figures."""

    def end(self, state: State, reason: str) -> None:
        """The training is over; what was told must be kept now."""


class NoTracker:
    """Hears nothing."""

    wants_pictures = False

    def settled(self, settings: Mapping[str, Any], data: list[Data]) -> None:
        """Do nothing."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """Do nothing."""

    def picture(self, name: str, image: Image) -> None:
        """Do nothing."""

    def model(self, output: Path, figures: Mapping[str, float]) -> None:
        """Do nothing."""

    def end(self, state: State, reason: str) -> None:
        """Do nothing."""


@contextmanager
def tracked(settings: TrainSettings, folder: RunFolder, *, first: bool) -> Iterator[Tracker]:
    """The tracker that `logger` asks for, told how the block ends; only the first process of a training has one."""
    tracker = _tracker(settings, folder) if first else NoTracker()
    try:
        yield tracker
    except BaseException as error:
        tracker.end(*end_of(error))
        raise


def _tracker(settings: TrainSettings, folder: RunFolder) -> Tracker:
    match settings.logger:
        case MlflowLoggerSettings():
            from discerna.tracking.mlflow_run import MlflowTracker

            return MlflowTracker(settings, settings.logger, folder)
        case TensorBoardLoggerSettings():
            from discerna.tracking.tensorboard_run import TensorBoardTracker

            return TensorBoardTracker(settings.logger, folder)
    return NoTracker()
