"""Where a model scores pictures: device, processes, threads and workers, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from discerna import machine
from discerna.directories.model_dir import ModelDirectory
from discerna.machine import Choice
from discerna.results.pool import PredictorPool
from discerna.results.predictor import Predictor, Scorer, choose_device, choose_workers
from discerna.settings.devices import Devices
from discerna.settings.score import EvaluateSettings, ScoreSettings

FEW_PICTURES = 10_000
"""Up to this many pictures `devices=auto` stays in one process: another has to load torch and the model first.

The start took 8 s of a core where it was measured, and a picture of 0.2 megapixels 2 ms to decode, one of 12 some 120:
in that time eight workers feed a GPU with five hundred large pictures, or thirty thousand small ones.
"""


@dataclass(frozen=True)
class Placement:
    """Where and how a model scores."""

    device: Choice
    processes: Choice
    threads: Choice
    """Of each process; torch's."""
    workers: Choice
    """Of each process; they decode."""
    gpus: list[int] | None
    """The numbers of GPUs that the user named."""

    def scorer(self, directory: ModelDirectory, *, views: str = "one", modules: Sequence[str] = ()) -> Scorer:
        """The model where it scores; `modules` are those that register networks."""
        count: int = self.processes.value
        if count == 1 and self.gpus is None:
            return Predictor.of(directory, device=self.device.value, views=views)
        numbers = range(count) if self.device.value == "cuda" else [None] * count
        return PredictorPool(
            directory,
            device=self.device.value,
            gpus=self.gpus[:count] if self.gpus else list(numbers),
            threads=self.threads.value,
            views=views,
            modules=modules,
        )

    def told(self) -> str:
        """The choices for a person, in a line."""
        parts = [f"device {self.device.value}: {self.device.reason}"]
        count = self.processes.value
        if count > 1:
            threads = f"{self.threads.value} thread{'s' if self.threads.value > 1 else ''}"
            parts.append(f"{count} processes of {threads}: {self.processes.reason}, {self.threads.reason}")
        elif self.processes.reason != DEVICES:
            parts.append(f"1 process: {self.processes.reason}")
        return "; ".join([*parts, f"{self.workers.value} workers: {self.workers.reason}"])


DEVICES = "devices"


def refuse_devices(settings: ScoreSettings | EvaluateSettings) -> None:
    """Refuse a device, or a number of them, that is not there."""
    _most(settings.devices, choose_device(settings.device).value)


def choose_placement(settings: ScoreSettings | EvaluateSettings, pictures: int) -> Placement:
    """Where so many pictures are scored."""
    device = choose_device(settings.device)
    processes = _worth_it(_most(settings.devices, device.value), settings, pictures)
    return Placement(
        device=device,
        processes=processes,
        threads=_threads(processes.value),
        workers=choose_workers(settings.loading, device.value, processes.value),
        gpus=settings.devices if isinstance(settings.devices, list) and device.value == "cuda" else None,
    )


def _most(devices: Devices, kind: str) -> Choice:
    most = machine.named_processes(devices, DEVICES) or machine.all_devices(kind)
    machine.check_devices(devices, DEVICES, kind, most.value)
    return most


def _worth_it(most: Choice, settings: ScoreSettings | EvaluateSettings, pictures: int) -> Choice:
    batches = -(-pictures // settings.batch_size)
    if settings.devices == "auto" and most.value > 1 and pictures <= FEW_PICTURES:
        return Choice(1, f"{pictures} pictures are scored before another process has started")
    if most.value > batches:
        return Choice(batches, f"there are no more batches of {settings.batch_size}")
    return most


def _threads(processes: int) -> Choice:
    import torch

    own = torch.get_num_threads()
    if processes == 1:
        return Choice(own, "torch's own choice")
    cores = machine.cores()
    # No more than torch's own choice, which the user may have made smaller, as by OMP_NUM_THREADS.
    return Choice(max(1, min(own, cores // processes)), f"{cores} cores")
