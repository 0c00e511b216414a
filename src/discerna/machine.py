"""What this machine offers, and what is chosen on it: each choice a value with its reason."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from discerna.errors import MachineError
from discerna.ranks import launched, machines
from discerna.settings.devices import Devices
from discerna.settings.loading import LoadingSettings
from discerna.settings.train import TrainSettings
from discerna.settings.trainer import TrainerSettings

ALONE = "one process"
"""Why a choice that only several processes have is as it is; no one needs to hear of it."""
ELSEWHERE = "of no matter here"
"""Why a choice is as it is that only other devices or precisions have."""


OFF = "off"


@dataclass(frozen=True)
class Choice:
    """A value that was chosen, and why."""

    value: Any
    reason: str


@dataclass(frozen=True)
class Machine:
    """Everything `auto` stands for, decided."""

    device: Choice
    processes: Choice
    strategy: Choice
    """single, ddp or fsdp"""
    precision: Choice
    tf32: Choice
    """Whether fp32 numbers are multiplied as TF32."""
    channels_last: Choice
    sync_batchnorm: Choice
    fused: Choice
    compile: Choice
    """A mode of torch.compile, off, or auto where only a trial can tell."""
    threads: Choice
    workers: Choice

    def lines(self) -> list[tuple[str, str, str]]:
        """(name, value, reason) of every choice that there was."""
        choices = [(f.name, getattr(self, f.name)) for f in fields(self)]
        return [(name, str(c.value), c.reason) for name, c in choices if c.reason not in (ALONE, ELSEWHERE)]

    def as_json(self) -> dict[str, dict[str, Any]]:
        """What training.json keeps."""
        return {
            f.name: {"value": c.value, "reason": c.reason}
            for f in fields(self)
            if (c := getattr(self, f.name))
        }


def processes(trainer: TrainerSettings) -> Choice:
    """How many processes of this machine train together; imports torch only where GPUs are asked for."""
    if trainer.strategy == "fsdp":  # before any process is started
        _refuse_sharding_without_gpu(device(trainer).value)
    named = named_processes(trainer.devices, "trainer.devices")
    if named is not None:
        return named
    kind = device(trainer).value
    if kind == "cpu" and trainer.strategy == "ddp":
        raise MachineError(
            "the number of processes cannot be chosen",
            where="trainer.devices=auto",
            accepted="there is no GPU to count",
            remedy="use trainer.devices=2",
        )
    return all_devices(kind)


def named_processes(devices: Devices, setting: str) -> Choice | None:
    """How many processes the setting names; None: it is auto."""
    if isinstance(devices, list):
        if len(set(devices)) != len(devices) or not devices:
            raise MachineError(
                "a GPU is named twice, or none", where=f"{setting}={devices}", remedy="name each once"
            )
        return Choice(len(devices), f"the GPUs named by {setting}")
    return None if devices == "auto" else Choice(devices, setting)


def all_devices(kind: str) -> Choice:
    """A process for each device of a kind."""
    if kind == "cpu":
        return Choice(1, "no GPU to count")
    import torch

    count = torch.cuda.device_count() if kind == "cuda" else 1
    return Choice(count, f"all {count} GPUs" if count > 1 else "one GPU")


def choose(trainer: TrainerSettings, loading: LoadingSettings, count: Choice) -> Machine:
    """Decide everything for one of `count` processes."""
    kind = device(trainer)
    here = count.value // machines(count.value)
    check_devices(trainer.devices, "trainer.devices", kind.value, here)
    strategy = _strategy(trainer, kind.value, count.value)
    precision = _precision(trainer, kind.value, strategy.value)
    return Machine(
        device=kind,
        processes=count,
        strategy=strategy,
        precision=precision,
        tf32=_tf32(trainer, kind.value, precision.value),
        channels_last=_channels_last(trainer, kind.value),
        sync_batchnorm=_sync_batchnorm(trainer, kind.value, count.value),
        fused=_fused(trainer, kind.value, precision.value, strategy.value),
        compile=_compile(trainer, kind.value, strategy.value, count.value),
        threads=_threads(trainer, here),
        workers=_workers(loading, kind.value, here),
    )


def device(trainer: TrainerSettings) -> Choice:
    """cpu, cuda or mps; MachineError where a GPU was asked for and there is none."""
    if trainer.accelerator == "cpu":
        return Choice("cpu", "trainer.accelerator")
    found = gpu_kind()
    if trainer.accelerator == "auto":
        if found is None:
            return Choice("cpu", "no GPU was found")
        return Choice(found, f"found {gpu_name(found)}")
    if found is None or (trainer.accelerator != "gpu" and trainer.accelerator != found):
        raise MachineError(
            "the GPU that was asked for is not there",
            where=f"trainer.accelerator={trainer.accelerator}",
            accepted=f"torch sees {gpu_name(found) if found else 'no GPU'} on this machine",
            remedy="use trainer=auto or trainer=cpu; discerna env shows what torch sees",
        )
    return Choice(found, "trainer.accelerator")


def gpu_kind() -> str | None:
    """cuda, mps or None."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def gpu_name(kind: str) -> str:
    """What the GPU calls itself."""
    import torch

    return torch.cuda.get_device_name(0) if kind == "cuda" else "Apple's GPU"


def check_devices(devices: Devices, setting: str, kind: str, count: int) -> None:
    """Refuse more processes than there are devices of the kind; a CPU takes any number."""
    import torch

    if isinstance(devices, list) and kind == "cpu":
        raise MachineError(
            "no GPU was found",
            where=f"{setting}={devices}",
            accepted="a list names GPUs by number",
            remedy=f"use {setting}={count} for {count} processes on the CPU",
        )
    needed = max(devices) + 1 if isinstance(devices, list) else count
    if kind == "cuda":
        seen = torch.cuda.device_count()
        if needed > seen:
            raise MachineError(
                "more GPUs than there are",
                where=f"{setting}={devices}",
                accepted=f"torch sees {seen}",
                remedy=f"use {setting}={seen}",
            )
    if kind == "mps" and needed > 1:
        raise MachineError(
            "Apple's GPU serves one process", where=f"{setting}={devices}", remedy=f"use {setting}=1"
        )


def _strategy(trainer: TrainerSettings, kind: str, count: int) -> Choice:
    if trainer.strategy == "fsdp":
        _refuse_sharding_without_gpu(kind)
        if count == 1:
            return Choice("single", "one GPU has all weights: there is nothing to shard")
        return Choice("fsdp", f"each of the {count} GPUs keeps a part of the weights")
    if count == 1:
        return Choice("single", ALONE)
    return Choice("ddp", f"each of the {count} processes has all weights")


def _refuse_sharding_without_gpu(kind: str) -> None:
    if kind != "cuda":
        raise MachineError(
            "weights can be sharded over GPUs only",
            where="trainer.strategy=fsdp",
            accepted=f"CUDA GPUs; this training would run on {'the CPU' if kind == 'cpu' else gpu_name(kind)}",
            remedy="use trainer.strategy=ddp or auto",
        )


def _sync_batchnorm(trainer: TrainerSettings, kind: str, count: int) -> Choice:
    """What suits a network with batch normalisation."""
    if trainer.sync_batchnorm is True and kind == "cpu":
        raise MachineError(
            "batch statistics cannot be shared on the CPU",
            where="trainer.sync_batchnorm=true",
            accepted="torch's SyncBatchNorm works on GPUs only",
            remedy="leave it out",
        )
    if count == 1:
        return Choice(False, "one process has the whole batch" if trainer.sync_batchnorm is True else ALONE)
    if trainer.sync_batchnorm != "auto":
        return Choice(trainer.sync_batchnorm, "trainer.sync_batchnorm")
    if kind == "cuda":
        return Choice(True, f"batch statistics are shared by the {count} processes")
    return Choice(False, "torch's SyncBatchNorm works on GPUs only: each process has its own statistics")


def _precision(trainer: TrainerSettings, kind: str, strategy: str) -> Choice:
    asked = trainer.precision
    if asked != "auto":
        if strategy == "fsdp" and asked == "64-true":
            raise MachineError(
                "sharded weights have no double precision",
                where="trainer.precision=64-true trainer.strategy=fsdp",
                accepted="32-true, bf16-mixed, 16-mixed, bf16-true and 16-true",
                remedy="use trainer.precision=32-true or trainer.strategy=ddp",
            )
        if kind == "cpu" and asked in ("16-mixed", "16-true"):
            raise MachineError(
                "half precision needs a GPU",
                where=f"trainer.precision={asked}",
                accepted="the CPU takes 32-true, bf16-mixed, bf16-true and 64-true",
                remedy="use trainer.precision=auto",
            )
        return Choice(asked, "trainer.precision")
    import torch

    if kind == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Choice("bf16-mixed", "the GPU computes in bf16")
        return Choice("16-mixed", "an older GPU: fp16 with a loss scaler")
    if kind == "cpu" and cpu_has_bf16():
        return Choice("bf16-mixed", "the CPU computes in bf16, about twice as fast as fp32")
    return Choice("32-true", "no fast bf16 on this device")


def _tf32(trainer: TrainerSettings, kind: str, precision: str) -> Choice:
    if kind != "cuda":
        if trainer.tf32 is True:
            raise MachineError(
                "TF32 needs a GPU of NVIDIA's",
                where="trainer.tf32=true",
                accepted=f"this training runs on {'the CPU' if kind == 'cpu' else gpu_name(kind)}",
                remedy="leave it out",
            )
        return Choice(False, ELSEWHERE)
    if trainer.tf32 != "auto":
        return Choice(trainer.tf32, "trainer.tf32")
    import torch

    if precision != "32-true" or torch.cuda.get_device_capability()[0] < TF32_SINCE:
        return Choice(False, ELSEWHERE)
    return Choice(True, "products of fp32 with 10 bits of fraction, several times as fast")


TF32_SINCE = 8
"""The generation of NVIDIA's GPUs that has it: Ampere."""


@cache
def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 natively; emulated, it is slower than fp32."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _channels_last(trainer: TrainerSettings, kind: str) -> Choice:
    if trainer.channels_last != "auto":
        return Choice(trainer.channels_last, "trainer.channels_last")
    if kind == "mps":
        return Choice(False, "no gain on Apple's GPU")
    return Choice(True, "convolutions are faster in this layout")


def _fused(trainer: TrainerSettings, kind: str, precision: str, strategy: str) -> Choice:
    if strategy == "fsdp" and precision == "16-mixed":
        # In a fused step each process would look for infinite gradients in its own part, and step or not by itself.
        if trainer.fused is True:
            raise MachineError(
                "a fused step sees one part of the gradients only",
                where="trainer.fused=true trainer.strategy=fsdp",
                accepted=f"with precision {precision}, whose gradients are scaled, all processes must step or none",
                remedy="leave out trainer.fused",
            )
        return Choice(False, "scaled gradients in parts need a look at all of them before a step")
    clipping = precision == "16-mixed" and trainer.gradient_clip_val is not None
    if trainer.fused is True and clipping:
        raise MachineError(
            "a fused step leaves no moment to clip in",
            where=f"trainer.fused=true trainer.gradient_clip_val={trainer.gradient_clip_val}",
            accepted=f"with precision {precision}, whose gradients are scaled, it is one or the other",
            remedy="leave out trainer.fused",
        )
    if trainer.fused != "auto":
        return Choice(trainer.fused, "trainer.fused")
    if clipping:
        return Choice(False, "clipping gradients that are scaled needs a step of its own")
    if kind == "mps":
        return Choice(False, "not tried on Apple's GPU")
    return Choice(True, "one kernel updates all weights")


def _compile(trainer: TrainerSettings, kind: str, strategy: str, count: int) -> Choice:
    if trainer.compile not in ("auto", False):
        if strategy == "fsdp":
            raise MachineError(
                "sharded weights cannot be compiled",
                where=f"trainer.strategy=fsdp trainer.compile={trainer.compile}",
                remedy="use trainer.strategy=ddp, or leave out trainer.compile",
            )
        return Choice("default" if trainer.compile is True else trainer.compile, "trainer.compile")
    if trainer.compile is False:
        return Choice(OFF, "trainer.compile")
    if kind != "cuda":
        return Choice(OFF, ELSEWHERE)
    if strategy == "fsdp":
        return Choice(OFF, "sharded weights cannot be compiled")
    if count > 1:
        return Choice(OFF, "a trial decides for one process only; trainer.compile=true does it")
    if trainer.deterministic is True:
        return Choice(OFF, "whether it pays is measured, and would not be decided alike each time")
    import torch

    if torch.cuda.get_device_capability()[0] < COMPILED_SINCE:
        return Choice(OFF, "the GPU is too old for it")
    return Choice("auto", "a trial will tell")


COMPILED_SINCE = 7
"""The generation of NVIDIA's GPUs for which torch compiles: Volta."""


def as_started(settings: TrainSettings) -> TrainSettings:
    """The settings of a worker, which trains with as many others as have been started."""
    count = launched()
    if count == 1 or processes(settings.trainer).value == count:
        return settings
    return replace(settings, trainer=replace(settings.trainer, devices=count))


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads(trainer: TrainerSettings, count: int) -> Choice:
    if trainer.threads != "auto":
        return Choice(trainer.threads, "trainer.threads")
    if count == 1:
        import torch

        return Choice(torch.get_num_threads(), "torch's own choice")
    return Choice(max(1, cores() // count), f"{cores()} cores among {count} processes")


def _workers(loading: LoadingSettings, kind: str, count: int) -> Choice:
    if loading.workers != "auto":
        return Choice(loading.workers, "loading.workers")
    if kind == "cpu":
        return Choice(0, "the cores that train read the pictures between two steps")
    mine = max(1, cores() // count)
    return Choice(min(MOST_WORKERS, max(1, mine - 1)), f"{mine} cores a process feed the GPU")


MOST_WORKERS = 16
"""A core reads some hundreds of pictures a second, a large GPU computes some thousands (docs/performance.md)."""
