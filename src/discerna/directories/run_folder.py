"""The run folder: everything about one training except the trained model itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from discerna import errors
from discerna.directories.checkpoint_files import checkpoints, remove_left_over
from discerna.directories.file_lock import FileLock
from discerna.directories.model_files import MANIFEST, file_digest
from discerna.directories.plain_reading import read_object, read_plain
from discerna.directories.run_status import RunStatus, State, read_status
from discerna.directories.write_aside import ASIDE, written_whole
from discerna.errors import DiscernaError, OutputError, Preempted, Pruned
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
        """The last few checkpoints, and the best weights."""
        return self.path / "checkpoints"

    @property
    def decisions(self) -> Path:
        """What the training has decided in its course."""
        return self.path / "decisions.json"

    @property
    def data(self) -> Path:
        """Labels and fingerprints of what it learns from."""
        return self.path / "data.json"

    @property
    def stopped(self) -> Path:
        """The signal that ended it, written when a checkpoint was."""
        return self.path / "stopped.json"

    @property
    def published(self) -> Path:
        """By which sum a model directory is told to be this run's."""
        return self.path / "published.json"

    @property
    def aside(self) -> Path:
        """Where the model directory is written before it appears."""
        return self.path / ".model"

    @property
    def error(self) -> Path:
        """Why the run failed, for programs."""
        return self.path / "error.json"

    @property
    def result(self) -> Path:
        """What the run came to, for programs."""
        return self.path / "result.json"

    @property
    def plan(self) -> Path:
        """What the training would take, where it is only planned."""
        return self.path / "plan.json"

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
            raise _unwritable(path, error) from None
        return folder, secrets

    @classmethod
    def go_on(cls, folder: RunFolder, settings: TrainSettings) -> tuple[RunFolder, dict[str, Any]]:
        """The folder of a run that starts again, locked, with settings that may differ in part; also the secrets."""
        secrets: dict[str, Any] = {}
        values = masked(plain(settings), secrets)
        values["networks"] = {"modules": []}
        owned = folder if folder.lock is not None else folder.owned()
        try:
            owned.forget_end()
            write_json(owned.settings, {"discerna": __version__, "command": "train", "settings": values})
            owned._tell_start(values)
        except OSError as error:
            assert owned.lock is not None
            owned.lock.release()
            raise _unwritable(owned.path, error) from None
        return owned, secrets

    def forget_end(self) -> None:
        """Remove what tells how the run ended, and what processes wait for when they start."""
        for path in (self.error, self.stopped, self.result, self.pictures, self.check):
            path.unlink(missing_ok=True)
        self.remove_left_over()

    def remove_left_over(self) -> None:
        """Remove what a process has left that was killed while it wrote, or published; only for the owner."""
        for folder in (self.path, self.checkpoints):
            remove_left_over(folder)
        shutil.rmtree(self.aside, ignore_errors=True)

    def stored(self) -> dict[str, Any]:
        """The settings in settings.json, as plain values, secrets masked."""
        try:
            values = read_object(self.settings)["settings"]
        except (OSError, ValueError, KeyError):
            values = None
        if not isinstance(values, dict):
            raise OutputError(
                "the settings of a run cannot be read",
                where=str(self.settings),
                accepted="they were written when it began",
                remedy="begin a new run with another output",
            )
        return values

    def has_checkpoint(self) -> bool:
        """Whether the run can be gone on with from somewhere."""
        return bool(checkpoints(self.checkpoints))

    def publishes(self, whole: Path) -> None:
        """Remember a model directory that is about to appear, so that a restart knows it for its own."""
        write_json(self.published, {"manifest": file_digest(whole / MANIFEST)})

    def has_published(self, output: Path) -> bool:
        """Whether the model directory at `output` is of this run."""
        try:
            return bool(read_object(self.published)["manifest"] == file_digest(output / MANIFEST))
        except (OSError, ValueError, KeyError):
            return False

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
        owned.forget_end()
        owned._tell_start(self.stored())
        return owned

    def _tell_start(self, settings: Mapping[str, Any]) -> None:
        model = settings["model"]
        before = self.status()
        status = RunStatus.begin(
            experiment_name=settings.get("experiment_name", "default"),
            model=Path(model).name if Path(model).is_absolute() else model,
            monitor=settings["monitor"],
            epochs=settings["epochs"],
        )
        if before is not None:  # a run that goes on
            status = replace(status, began=before.began)
        write_json(self.status_file, status.as_json())

    def status(self) -> RunStatus | None:
        """How the run stands; None where nothing tells, as in folders of 0.1.0."""
        return read_status(self.status_file, self.lock_file)

    def end(self, state: State, reason: str, **told: Any) -> None:
        """Write how the run ended."""
        status = self.status()
        if status is not None:
            write_json(self.status_file, status.end(state, reason, **told).as_json())

    def refuse_old(self, overwrite: bool) -> None:
        """Refuse what lies in the way of a fresh run here, and leave it as it is."""
        if os.path.lexists(self.path):
            with self._replaceable(overwrite):
                pass

    def _remove_old(self, overwrite: bool) -> None:
        with self._replaceable(overwrite):
            shutil.rmtree(self.path)

    @contextmanager
    def _replaceable(self, overwrite: bool) -> Iterator[None]:
        """Only a run that failed is replaced unasked: another has left its checkpoints; one that goes on never is."""
        if self.path.is_symlink() or not (self.is_run() or self._is_barely_begun()):
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
            begun = self.is_run()
            if begun and not overwrite and (self.has_checkpoint() or not self.error.is_file()):
                ended = status is not None and status.state in ("finished", "stopped early")
                go_on = "" if ended else "add resume=auto to go on with it, "
                raise OutputError(
                    "the run folder exists",
                    where=str(self.path),
                    accepted=f"its run: {status.state}" if status else "a run has finished here, or was cut",
                    remedy=f"{go_on}choose another output, or add overwrite=true to replace it",
                )
            yield
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

    def _is_barely_begun(self) -> bool:
        """Whether all that is here is what a process left that was killed before it had written the settings."""
        try:
            names = {path.name for path in self.path.iterdir()}
        except OSError:
            return False
        return all(name == self.lock_file.name or name.startswith(ASIDE) for name in names)

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

    def write_stopped(self, stopped: Preempted) -> None:
        """Leave word of the signal, or the verdict of a sweep, after which a checkpoint was written."""
        why = {"reason": stopped.reason} if isinstance(stopped, Pruned) else {"signal": stopped.signal}
        write_json(self.stopped, {**why, "epoch": stopped.epoch, "step": stopped.step})

    def read_stopped(self) -> Preempted | None:
        """The word that a process left."""
        try:
            told = read_object(self.stopped)
            return Pruned(**told) if "reason" in told else Preempted(**told)
        except (OSError, ValueError, TypeError):
            return None

    def read_error(self) -> DiscernaError | None:
        """The error that a worker left, as an exception of its class."""
        if not self.error.is_file():
            return None
        told = json.loads(self.error.read_text("utf-8"))
        cls = getattr(errors, told["class"], DiscernaError)
        return cls(told["problem"], where=told["where"], accepted=told["accepted"], remedy=told["remedy"])


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole: a reader sees the old file or the new one, after a power cut too."""
    with written_whole(path) as aside:
        aside.write_text(json.dumps(value, indent=2, ensure_ascii=True) + "\n", "utf-8")


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        "the run folder cannot be written",
        where=str(path),
        accepted=str(error.strerror),
        remedy="choose another output, or make room and grant the right to write",
    )
