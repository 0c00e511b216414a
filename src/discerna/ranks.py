"""Which of how many processes this one is, and on how many machines they are, as whatever started it says."""

from __future__ import annotations

import os

from discerna.errors import MachineError


def rank() -> int:
    """The number of this process among those of a training; known before they have met."""
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")))


def launched() -> int:
    """How many processes, on all machines, a launcher has started this one with; 1 where none has."""
    return int(os.environ.get("WORLD_SIZE") or _of_srun("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"))


def launched_here() -> int:
    """How many of them are on this machine."""
    return int(
        os.environ.get("LOCAL_WORLD_SIZE") or _of_srun("SLURM_STEP_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE")
    )


def _of_srun(of_step: str, of_job: str) -> str:
    """A number that srun gives its tasks; a script that sbatch runs is told that of the job, but is alone."""
    started = os.environ.get("SLURM_STEP_ID", "").isdigit() and "SLURM_PROCID" in os.environ
    told = os.environ.get(of_step) or os.environ.get(of_job) or "1"
    return told.partition("(")[0].partition(",")[0] if started else "1"


def machines(count: int) -> int:
    """On how many machines `count` processes train; each has as many of them."""
    if launched() != count:
        return 1
    if count % launched_here():
        raise MachineError(
            "the machines have different numbers of processes",
            where=f"{count} in all, {launched_here()} here",
            accepted="each trains with as many as the others",
            remedy="use --nproc-per-node, or --ntasks-per-node, with the same number everywhere",
        )
    return count // launched_here()


def is_first_process() -> bool:
    """Whether this is the one process of a training that writes files."""
    return rank() == 0
