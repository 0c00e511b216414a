"""Which GPUs and cores each of the jobs has that run at once on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise

from discerna import machine
from discerna.errors import MachineError
from discerna.settings.trainer import TrainerSettings


@dataclass(frozen=True)
class Place:
    """What one job may use; None: whatever there is."""

    slot: int
    gpus: tuple[str, ...] | None
    cores: tuple[int, ...]
    """Empty: all."""

    @property
    def environment(self) -> dict[str, str]:
        """By which torch sees its GPUs only."""
        return {} if self.gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)}


class Places:
    """Gives each of `parallel` jobs devices of its own, and takes them back."""

    def __init__(self, parallel: int) -> None:
        self._parallel = parallel
        self._slots = list(range(parallel))
        self._cores = _shares(_cores(), parallel) if parallel > 1 else [()]
        self._gpus: list[str] | None = None

    def check(self, trainer: TrainerSettings) -> None:
        """Refuse jobs that could not have devices of their own."""
        if self._parallel == 1 or machine.device(trainer).value != "cuda":
            return
        if isinstance(trainer.devices, list):
            raise MachineError(
                "jobs at once would use the same GPUs",
                where=f"trainer.devices={trainer.devices} sweep.parallel={self._parallel}",
                accepted="each job is given GPUs of its own",
                remedy="say how many each may have: trainer.devices=1",
            )
        total = len(_visible_gpus())
        wanted = self._number(trainer)
        if wanted * self._parallel > total:
            raise MachineError(
                "more GPUs than there are",
                where=f"sweep.parallel={self._parallel} jobs with {wanted} each",
                accepted=f"torch sees {total}",
                remedy=f"use sweep.parallel={max(1, total // wanted)}",
            )

    def take(self, trainer: TrainerSettings) -> Place | None:
        """A place for a job; None while there is none, MachineError where there never will be."""
        if not self._slots:
            return None
        gpus: tuple[str, ...] | None = None
        if self._parallel > 1 and machine.device(trainer).value == "cuda":
            if self._gpus is None:
                self._gpus = _visible_gpus()
            wanted = self._number(trainer)
            if wanted > len(self._gpus):
                if len(self._slots) == self._parallel:  # nothing will be given back
                    machine.check_devices(trainer.devices, "trainer.devices", "cuda", wanted)
                return None
            gpus, self._gpus = tuple(self._gpus[:wanted]), self._gpus[wanted:]
        slot = self._slots.pop(0)
        return Place(slot, gpus, self._cores[slot])

    def give_back(self, place: Place) -> None:
        """The job has ended."""
        self._slots = sorted([*self._slots, place.slot])
        if place.gpus is not None:
            assert self._gpus is not None
            self._gpus = [*place.gpus, *self._gpus]

    def _number(self, trainer: TrainerSettings) -> int:
        if trainer.devices == "auto":
            return max(1, len(_visible_gpus()) // self._parallel)
        return int(machine.processes(trainer).value)


def _visible_gpus() -> list[str]:
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]


def _cores() -> list[int]:
    """Their numbers; none where the system cannot keep a process to some of them."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _shares(cores: list[int], parallel: int) -> list[tuple[int, ...]]:
    """The cores, divided as evenly as can be; more jobs than cores share all of them."""
    if parallel > len(cores):
        return [()] * parallel
    ends = [len(cores) * number // parallel for number in range(parallel + 1)]
    return [tuple(cores[begin:end]) for begin, end in pairwise(ends)]
