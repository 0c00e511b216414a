"""The run folder: everything about one training except the trained model itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from discerna import errors
from discerna.directories.file_lock import FileLock
from discerna.directories.plain_reading import read_plain
from discerna.directories.run_status import RunStatus, State, read_status
from discerna.errors import DiscernaError, OutputError
from discerna.settings.build import build, plain
from discerna.settings.secrets import masked, unmasked
from discerna.settings.train import TrainSettings
from discerna.version import __version__


@dataclass(frozen=True)
class RunFolder:
    """One training's settings, log, metrics and checkpoints."""

    path: Path
    lock: FileLock | None = field(default=None, compare=False, repr=False)
    """Held by the process that answers for the run, as long as it goes on."""

    @property
    def settings(self) -> Path:
        """The resolved settings, secrets masked; what a worker starts from."""
        return self.path / "settings.json"

    @property
    def status_file(self) -> Path:
        """How the run stands; `status` reads it."""
        return self.path / "status.json"

    @property
    def lock_file(self) -> Path:
        """Locked while the run goes on."""
        return self.path / "run.lock"

    @property
    def environment(self) -> Path:
        """Machine, packages and git state."""
        return self.path / "environment.json"

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
        secrets: dict[str, Any] = {}
        values = masked(plain(settings), secrets)
        # Code to import is named by the user's command only, never by a file.
        values["networks"] = {"modules": []}
        folder = cls(path)
        try:
            if os.path.lexists(path):
                folder._remove_old(settings.overwrite)
            path.mkdir(parents=True)
            folder = folder.owned()
            write_json(folder.settings, {"discerna": __version__, "command": "train", "settings": values})
            folder._tell_start(values)
        except OSError as error:
            if folder.lock is not None:
                folder.lock.release()
            raise OutputError(
                "the run folder cannot be written",
                where=str(path),
                accepted=str(error.strerror),
                remedy="choose another output, or make room and grant the right to write",
            ) from None
        return folder, secrets

    def owned(self) -> RunFolder:
        """The folder, locked by this process until `end`."""
        self.lock_file.touch()
        lock = FileLock.take(self.lock_file, patience=1)  # who lists runs looks at it for an instant
        if lock is None:
            raise self._going_on()
        return replace(self, lock=lock)

    def restarted(self) -> RunFolder:
        """The folder, locked by this process, which starts the run from its settings."""
        owned = self.owned()
        owned._tell_start(json.loads(self.settings.read_text("utf-8"))["settings"])
        return owned

    def _tell_start(self, settings: Mapping[str, Any]) -> None:
        model = settings["model"]
        status = RunStatus.begin(
            experiment_name=settings.get("experiment_name", "default"),
            model=Path(model).name if Path(model).is_absolute() else model,
            monitor=settings["monitor"],
            epochs=settings["epochs"],
        )
        write_json(self.status_file, status.as_json())

    def status(self) -> RunStatus | None:
        """How the run stands; None where nothing tells, as in folders of 0.1.0."""
        return read_status(self.status_file, self.lock_file)

    def end(self, state: State, reason: str, **told: Any) -> None:
        """Write how the run ended."""
        status = self.status()
        if status is not None:
            write_json(self.status_file, status.end(state, reason, **told).as_json())

    def _remove_old(self, overwrite: bool) -> None:
        """Only a run that failed is replaced unasked: another has left its checkpoints; one that goes on never is."""
        if self.path.is_symlink() or not self.is_run():
            raise OutputError(
                "the run folder exists and is not one of discerna's",
                where=str(self.path),
                accepted="the log and checkpoints of a run go there",
                remedy="choose another output, or move that folder away",
            )
        status = self.status()
        lock = self.owned().lock
        assert lock is not None
        try:
            if not overwrite and not self.error.is_file():
                raise OutputError(
                    "the run folder exists",
                    where=str(self.path),
                    accepted=f"its run: {status.state}" if status else "a run has finished here, or was cut",
                    remedy="choose another output, or add overwrite=true to replace it",
                )
            shutil.rmtree(self.path)
        finally:
            lock.release()

    def _going_on(self) -> OutputError:
        status = self.status()
        who = (
            f"process {status.process} on {status.host} since {status.began}" if status else "another process"
        )
        return OutputError(
            "a run is going on in the run folder",
            where=str(self.path),
            accepted=who,
            remedy="choose another output, or wait for it to end",
        )

    def is_run(self) -> bool:
        """Whether it is the folder of a training, as the first lines of its settings tell."""
        try:
            head = read_plain(
                self.settings, 200
            )  # whole settings would make a list of thousands of runs slow
        except OSError:
            return False
        return b'"discerna": ' in head and b'"command": "train"' in head

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
