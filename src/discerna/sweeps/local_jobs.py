"""Jobs of a sweep as process trees of this machine."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from discerna import launch
from discerna.errors import ProcessError


class LocalJobs:
    """Each a process in a session of its own, away from the terminal, whose Ctrl-C is handed on once."""

    def __init__(self) -> None:
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int, process: launch.Process) -> None:
        """Start a job; what it prints goes into its run folder."""
        try:
            with (process.folder.path / launch.CONSOLE).open("ab") as console:
                self._running[number] = subprocess.Popen(
                    process.command,
                    env=process.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    start_new_session=True,
                )
        except OSError as error:
            raise ProcessError(
                "the process of a job cannot be started",
                where=str(process.folder.path),
                accepted=str(error.strerror),
                remedy="make room; the same command tries it again",
            ) from None

    def adopt(self, number: int, run: Path) -> bool:
        """Jobs of this machine end with their sweep."""
        return False

    def ended(self) -> dict[int, str]:
        """Jobs whose process has ended, and how."""
        gone = {number: job.poll() for number, job in self._running.items()}
        return {number: _told(code) for number, code in gone.items() if code is not None}

    def forget(self, number: int) -> None:
        """The end of the job was heard."""
        del self._running[number]

    def signal(self, number: int) -> None:
        """Let every job finish its step and write a checkpoint."""
        for job in self._running.values():
            job.send_signal(number)

    def close(self) -> None:
        """Kill what still runs; its own processes end with it."""
        for job in self._running.values():
            job.kill()
        for job in self._running.values():
            job.wait()
        self._running.clear()


def _told(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
