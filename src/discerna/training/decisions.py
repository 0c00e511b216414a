"""What a training decides in its course, kept so that a restart decides likewise."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from discerna.directories.plain_reading import read_object
from discerna.directories.run_folder import RunFolder, write_json
from discerna.errors import SettingsError
from discerna.settings.build import build
from discerna.settings.train import TrainSettings


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Nothing at the start."""

    pieces: int | None = None
    """Into how many each batch is cut."""
    pieces_reason: str = ""
    compile: str | None = None
    """A mode, or off, as a trial has told."""
    compile_reason: str = ""
    rollbacks: int = 0
    back_at: str | None = None
    """The checkpoint of the last rollback."""
    learning_rate: float | None = None
    """That of `learning_rate=find`."""
    reason: str = ""
    """Why that one."""

    @classmethod
    def read(cls, folder: RunFolder) -> Decisions:
        """Those of the run; none where it has not decided anything."""
        try:
            return build(cls, {**asdict(cls()), **read_object(folder.decisions)})
        except (OSError, ValueError, SettingsError):
            return cls()

    def write(self, folder: RunFolder) -> None:
        """Keep them for a restart."""
        write_json(folder.decisions, asdict(self))

    def but(self, **changed: Any) -> Decisions:
        """With something else decided."""
        return replace(self, **changed)


def cut_smaller(settings: TrainSettings, pieces: int | None) -> TrainSettings:
    """The settings with each batch in so many pieces; what counts pieces counts as many steps as before."""
    before = settings.trainer.accumulate_grad_batches
    if pieces is None or pieces <= before:
        return settings
    times = pieces // before
    limits: dict[str, Any] = {
        name: value * times
        for name in ("limit_train_batches", "val_check_interval")
        if type(value := getattr(settings.trainer, name)) is int
    }
    # Nothing is left to be found.
    trainer = replace(settings.trainer, accumulate_grad_batches=pieces, batch_finder=False, **limits)
    return replace(settings, trainer=trainer)
