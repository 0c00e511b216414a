"""A job of SLURM that is told of its end puts itself into the queue again, to go on later."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from discerna.errors import Preempted, Terminated

LOG = logging.getLogger("discerna")

ANNOUNCEMENT = signal.SIGUSR1
"""What `#SBATCH --signal=SIGUSR1@90` sends 90 seconds before the end; the same that Lightning listens for."""


def is_slurm() -> bool:
    """Whether this process is part of a job of SLURM."""
    return "SLURM_JOB_ID" in os.environ


@contextmanager
def announced_end(requeue: bool = True) -> Iterator[None]:
    """Let SIGUSR1 end the block as SIGTERM does, and put the job into the queue again once it has ended.

    Without `requeue`, who started this process does that, when the others have ended too.
    """
    if not is_slurm() or threading.current_thread() is not threading.main_thread():
        yield
        return
    announced = []

    def note(number: int, frame: FrameType | None) -> None:
        announced.append(number)
        raise Terminated

    before = signal.signal(ANNOUNCEMENT, note)
    try:
        yield
    except BaseException as error:
        if requeue and (announced or (isinstance(error, Preempted) and error.signal == ANNOUNCEMENT.name)):
            _requeue()
        raise
    finally:
        signal.signal(ANNOUNCEMENT, before)


def _requeue() -> None:
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else os.environ["SLURM_JOB_ID"]
    if not re.fullmatch(r"[0-9_]+", job):
        LOG.warning("SLURM's job number is none: %s; the job is not put into the queue again", job)
        return
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        LOG.warning("the job is not put into the queue again: scontrol: %s", error)
        return
    if done.returncode:
        LOG.warning("the job is not put into the queue again: %s", done.stderr.strip() or done.returncode)
    else:
        LOG.info("job %s is in the queue again; its script goes on with this run by resume=auto", job)
