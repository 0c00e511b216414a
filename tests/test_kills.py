"""SIGKILL at random instants, again and again; `scripts/soak kills` is the same for longer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.slow
def test_twenty_five_kills_change_nothing():
    # A process of its own, as it forks: here libraries may have threads.
    done = subprocess.run(
        [sys.executable, "-m", "soaks.kills", "--kills", "25", "--seed", "6"],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 faults" in done.stdout and "killed" in done.stdout
