"""The run folder: everything about one training except the trained model itself."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discerna import errors
from discerna.errors import DiscernaError, OutputError
from discerna.settings.build import build, plain
from discerna.settings.secrets import masked, unmasked
from discerna.settings.train import TrainSettings
from discerna.version import __version__


@dataclass(frozen=True)
class RunFolder:
    """One training's settings, log, metrics and checkpoints."""

    path: Path

    @property
    def settings(self) -> Path:
        """The resolved settings, secrets masked; what a worker starts from."""
        return self.path / "settings.json"

    @property
    def log(self) -> Path:
        """The notes that were shown."""
        return self.path / "run.log"

    @property
    def metrics(self) -> Path:
        """A row an epoch."""
        return self.path / "metrics.csv"

    @property
    def pictures(self) -> Path:
        """How many pictures were found and used, and each that was skipped, with its reason."""
        return self.path / "pictures.json"

    @property
    def check(self) -> Path:
        """What `check=full` found."""
        return self.path / "check.json"

    def broken(self, process: int) -> Path:
        """The pictures that broke while a process used them; `pictures` has them once the training has ended."""
        return self.path / f"broken-{process}.jsonl"

    def all_broken(self) -> list[Path]:
        """Such files of all processes."""
        return sorted(self.path.glob("broken-*.jsonl"))

    @property
    def checkpoints(self) -> Path:
        """best.ckpt and last.ckpt."""
        return self.path / "checkpoints"

    @property
    def error(self) -> Path:
        """Why the run failed, for programs."""
        return self.path / "error.json"

    @property
    def result(self) -> Path:
        """What the run came to, for programs."""
        return self.path / "result.json"

    @classmethod
    def begin(cls, path: Path, settings: TrainSettings) -> tuple[RunFolder, dict[str, Any]]:
        """A fresh run folder with its settings; also the secrets, which the file does not hold."""
        folder = cls(path)
        try:
            if os.path.lexists(path):
                folder._refuse_to_replace(settings.overwrite)
                shutil.rmtree(path)
            path.mkdir(parents=True)
        except OSError as error:
            raise OutputError(
                "the run folder cannot be written",
                where=str(path),
                accepted=str(error.strerror),
                remedy="choose another output, or make room and grant the right to write",
            ) from None
        secrets: dict[str, Any] = {}
        values = masked(plain(settings), secrets)
        # Code to import is named by the user's command only, never by a file.
        values["networks"] = {"modules": []}
        write_json(folder.settings, {"discerna": __version__, "command": "train", "settings": values})
        return folder, secrets

    def _refuse_to_replace(self, overwrite: bool) -> None:
        """Only a run that failed is replaced unasked: another may be going on, or have left its checkpoints."""
        if not self._is_ours():
            raise OutputError(
                "the run folder exists and is not one of discerna's",
                where=str(self.path),
                accepted="the log and checkpoints of a run go there",
                remedy="choose another output, or move that folder away",
            )
        if not overwrite and not self.error.is_file():
            raise OutputError(
                "the run folder exists",
                where=str(self.path),
                accepted="another run is going on here, was cut, or has finished",
                remedy="choose another output, or add overwrite=true to replace it",
            )

    def _is_ours(self) -> bool:
        if self.path.is_symlink() or not self.settings.is_file():
            return False
        try:
            told = json.loads(self.settings.read_text("utf-8"))
        except ValueError:
            return False
        return isinstance(told, dict) and told.get("command") == "train" and "discerna" in told

    def read_settings(self, secrets: dict[str, Any], modules: list[str]) -> TrainSettings:
        """The settings as they were composed."""
        values = json.loads(self.settings.read_text("utf-8"))["settings"]
        values["networks"] = {"modules": modules}
        return build(TrainSettings, unmasked(values, secrets))

    def write_error(self, error: DiscernaError) -> None:
        """Leave the reason of the failure for programs; the first process to fail tells it."""
        if not self.error.exists():
            write_json(self.error, error.as_json())

    def read_error(self) -> DiscernaError | None:
        """The error that a worker left, as an exception of its class."""
        if not self.error.is_file():
            return None
        told = json.loads(self.error.read_text("utf-8"))
        cls = getattr(errors, told["class"], DiscernaError)
        return cls(told["problem"], where=told["where"], accepted=told["accepted"], remedy=told["remedy"])


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole: a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(value, indent=2, ensure_ascii=True) + "\n", "utf-8")
    temporary.replace(path)
