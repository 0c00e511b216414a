"""How a run stands: status.json in its folder, and a lock that tells whether its process still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from discerna.directories.file_lock import is_locked
from discerna.directories.plain_reading import read_object
from discerna.errors import DiscernaError, Preempted, ProcessKilledError, Pruned, SettingsError, Terminated
from discerna.settings.build import build

State = Literal["running", "finished", "stopped early", "failed", "killed", "preempted", "pruned", "prepared"]

GONE = "its process is gone without a word, as after kill -9, or when memory or power ran out"


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """What status.json holds."""

    state: State
    reason: str
    """Why it ended so; empty while it runs."""
    experiment_name: str
    model: str
    """The network's name, or the model directory that training began from."""
    monitor: str
    epochs: int
    """How many were asked for."""
    began: str
    """ISO 8601, with the zone."""
    ended: str | None
    host: str
    process: int
    figures: dict[str, float]
    """Those of the trained model, by the exact path; empty until there is one."""
    best_epoch: int | None
    epochs_trained: int | None
    best: dict[str, float]
    """The best epoch's row of metrics."""

    @classmethod
    def begin(cls, *, experiment_name: str, model: str, monitor: str, epochs: int) -> RunStatus:
        """That of a run which this process starts now."""
        return cls(
            state="running",
            reason="",
            experiment_name=experiment_name,
            model=model,
            monitor=monitor,
            epochs=epochs,
            began=now(),
            ended=None,
            host=socket.gethostname(),
            process=os.getpid(),
            figures={},
            best_epoch=None,
            epochs_trained=None,
            best={},
        )

    def end(self, state: State, reason: str, **told: Any) -> RunStatus:
        """The status once the run has ended."""
        return replace(self, state=state, reason=reason, ended=now(), **told)

    def as_json(self) -> dict[str, Any]:
        """What the file holds."""
        return asdict(self)


def end_of(error: BaseException) -> tuple[State, str]:
    """How a run stands that such an error has ended, and why."""
    match error:
        case Pruned():
            return "pruned", str(error)
        case Preempted():
            return "preempted", str(error)
        case KeyboardInterrupt():
            return "killed", "interrupted by Ctrl-C (SIGINT)"
        case Terminated():
            return "killed", "terminated (SIGTERM)"
        case ProcessKilledError():
            return "killed", str(error)
        case DiscernaError():
            return "failed", str(error)
    return "failed", f"{type(error).__name__}: {error}"


def now() -> str:
    """The time, in this machine's zone."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def read_status(file: Path, lock: Path) -> RunStatus | None:
    """The status in `file`; a run whose lock nobody holds any more was killed. None where there is none."""
    held = is_locked(lock)  # first: a run that ends now has written its end before it lets go
    try:
        status = build(RunStatus, read_object(file))
    except (OSError, ValueError, SettingsError):
        return None
    if held is None:  # a file system without locks
        held = status.host != socket.gethostname() or _lives(status.process)
    if status.state == "running" and not held:
        return replace(status, state="killed", reason=GONE)
    return status


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
