"""`discerna train plan=true`: what a training would take, from a few steps of it; nothing is left but the cache."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from discerna import memory
from discerna.directories.image_dir import ImageDirectory
from discerna.directories.model_dir import ModelDirectory, write_model_directory
from discerna.directories.plan_result import PlanResult
from discerna.directories.run_folder import RunFolder
from discerna.directories.write_aside import disk_failures
from discerna.errors import MachineError, OutOfMemoryError
from discerna.machine import Choice
from discerna.networks.registration import import_user_modules
from discerna.progress import SILENT, Progress
from discerna.ranks import is_first_process, machines
from discerna.results.evaluation import BATCH, evaluate, with_smaller_batches
from discerna.results.predictor import Predictor, ScoredBatch
from discerna.settings.train import TrainSettings
from discerna.training.decisions import Decisions
from discerna.training.forecast import Measured, ends_before, forecast
from discerna.training.preparation import Preparation, again, prepare
from discerna.training.rate_finder import STEPS as FINDING
from discerna.training.recovery import after_out_of_memory, free_memory
from discerna.training.rehearsal import Rehearsed, rehearse

SCORED = 3 * BATCH
"""Pictures; the first batch warms up."""


def run(settings: TrainSettings, folder: RunFolder, progress: Progress = SILENT) -> None:
    """Measure, and write the plan into the folder, which is one that will be removed."""
    with disk_failures(str(folder.path)):
        _run(settings, folder, progress)


def _run(settings: TrainSettings, folder: RunFolder, progress: Progress) -> None:
    began = time.monotonic()
    memory.forget_peak()
    import_user_modules(settings.networks.modules)
    ready = prepare(settings, folder, began, progress)
    start = time.monotonic() - began
    if ready.machine.strategy.value == "fsdp":
        raise MachineError(
            "a plan of sharded weights cannot be measured",
            where="plan=true trainer.strategy=fsdp",
            accepted="its trials would shard the same network twice",
            remedy="plan with trainer.strategy=ddp, or try trainer.limit_train_batches=20 epochs=1",
        )
    first = ready.machine.processes.value == 1 or is_first_process()
    # As they are: steps without a schedule may make anything of them.
    weights = {name: value.detach().clone() for name, value in ready.classifier.network.state_dict().items()}
    folder.checkpoints.mkdir(exist_ok=True)
    ready, rehearsed = _rehearse_through(ready, folder, progress)
    if not first:
        return
    published = _publish(ready, weights, folder.path / "planned")
    _plan(ready, rehearsed, start, published).write(folder.plan)


def _rehearse_through(
    ready: Preparation, folder: RunFolder, progress: Progress
) -> tuple[Preparation, Rehearsed]:
    """In as many pieces as the training would come to when memory runs out."""
    while True:
        decided = Decisions.read(folder)
        try:
            return ready, rehearse(ready, folder.checkpoints, progress)
        except OutOfMemoryError as error:
            decided = after_out_of_memory(ready, decided, folder, error)
        decided.write(folder)
        free_memory(ready.machine)
        ready = again(ready, decided)


class Published(NamedTuple):
    """What the end of a training takes."""

    seconds: float
    model_bytes: int
    scored: int
    """Pictures from which it is known how long measuring the model takes."""


def _publish(ready: Preparation, weights: dict[str, Tensor], place: Path) -> Published:
    """Write a model directory and measure it on some of the validation pictures."""
    began = time.perf_counter()
    write_model_directory(place, ready.spec, weights, overwrite=False)
    size = sum(file.stat().st_size for file in place.iterdir())
    predictor = Predictor.of(ModelDirectory.open(place), device=ready.machine.device.value)
    written = time.perf_counter() - began
    some = _some(ready.data.valid, SCORED)

    def measure(batch_size: int) -> float:
        """Seconds for a picture, the first batch apart."""
        came = [(time.perf_counter(), 0)]

        def note(batch: ScoredBatch) -> None:
            came.append((time.perf_counter(), came[-1][1] + len(batch.indices)))

        evaluate(
            predictor,
            some,
            setting="valid_data",
            batch_size=batch_size,
            workers=ready.machine.workers.value,
            on_batch=note,
        )
        since = came[1] if len(came) > 2 else came[0]
        return (came[-1][0] - since[0]) / max(1, came[-1][1] - since[1])

    each = with_smaller_batches(measure, BATCH)
    return Published(written + each * len(ready.data.valid), size, len(some))


def _some(data: ImageDirectory, count: int) -> ImageDirectory:
    """Pictures out of all of the directory, `count` at most."""
    apart = -(-len(data) // count)
    return data.without([i for i in range(len(data)) if i % apart])


def _plan(ready: Preparation, found: Rehearsed, start: float, published: Published) -> PlanResult:
    settings, machine = ready.settings, ready.machine
    choices = dict(ready.choices)
    start += found.warm_up
    if settings.learning_rate == "find":
        start += FINDING * settings.trainer.accumulate_grad_batches * found.phases[0].batch
        choices["learning_rate"] = Choice("find", f"{FINDING} steps of a trial, when the training starts")
    planned = forecast(
        settings,
        found.extent,
        Measured(
            start=start,
            phases=found.phases,
            checking=found.checking,
            validation=found.validation,
            alongside=found.alongside,
            cache_share=found.cache_share,
            best=found.best,
            checkpoint=found.checkpoint,
            end=published.seconds,
        ),
    )
    later = planned.epochs[1:]
    here = machine.processes.value // machines(machine.processes.value)
    on_gpu = machine.device.value == "cuda"
    files = settings.checkpoint.keep + 1
    return PlanResult(
        epochs=len(planned.epochs),
        steps=found.extent.steps,
        start=planned.start,
        first_epoch=planned.epochs[0],
        later_epoch=sum(later) / len(later) if later else 0.0,
        end=planned.end,
        seconds=planned.seconds,
        memory=here * (memory.peak() + found.readers_memory),
        memory_there=memory.there(),
        gpu_memory=torch.cuda.max_memory_reserved() if on_gpu else None,
        gpu_memory_there=torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() if on_gpu else None,
        model_bytes=published.model_bytes,
        run_bytes=files * (found.checkpoint_bytes + found.best_bytes),
        cache_bytes=found.cache_bytes,
        cache_share=found.cache_share,
        disk_free=shutil.disk_usage(settings.output.parent if settings.output else Path()).free,
        measured={"batches": found.batches, "validation": found.validated, "scored": published.scored},
        choices={name: {"value": choice.value, "reason": choice.reason} for name, choice in choices.items()}
        | machine.as_json(),
        ends_before=ends_before(settings, planned),
    )
