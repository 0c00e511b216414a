"""Waiting for real processes, and looking for those that are left behind."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def wait_for(what: Path | Callable[[], bool], seconds: float = 90) -> None:
    """Wait until a file is there, or something is true."""
    found = what.exists if isinstance(what, Path) else what
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.05)


def alive(folder: Path) -> list[str]:
    """The workers and agents of runs below a folder."""
    listed = subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if f"{folder}/" in line and "discerna.worker" in line]
