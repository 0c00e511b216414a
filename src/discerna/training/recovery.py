"""What a training does about trouble in its midst: smaller pieces when memory runs out, a lower rate after NaN."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable

import torch
import torch.distributed as dist

from discerna.directories.checkpoint_files import checkpoints, is_whole, newest_whole
from discerna.directories.run_folder import RunFolder
from discerna.errors import DivergedError, OutOfMemoryError
from discerna.machine import Machine
from discerna.networks.assembly import has_batch_norm
from discerna.progress import Progress
from discerna.ranks import is_first_process
from discerna.settings.train import TrainSettings
from discerna.training.checkpoints import Origin
from discerna.training.decisions import Decisions
from discerna.training.preparation import Preparation, again
from discerna.training.trainer import FitOutcome, Fitting, fit
from discerna.version import __version__
from discerna.wording import counted

LOG = logging.getLogger("discerna")


def fit_through(
    ready: Preparation,
    folder: RunFolder,
    progress: Progress,
    on_row: Callable[[dict[str, float]], None],
) -> tuple[Preparation, FitOutcome]:
    """Train to the end, starting again from the last checkpoint where that can help; also what was trained then."""
    while True:
        decided = Decisions.read(folder)
        try:
            return ready, fit(_fitting(ready, decided), folder, progress, on_row)
        except OutOfMemoryError as error:
            decided = after_out_of_memory(ready, decided, folder, error)
        except DivergedError as error:
            decided = _slower(ready.settings, folder, decided, error)
        # Outside of the handlers, whose traceback holds the tensors of the step that failed.
        if is_first_process():
            decided.write(folder)
        if dist.is_initialized():
            dist.barrier()  # until all can read what was decided
        free_memory(ready.machine)
        LOG.info("starting again from %s", newest_whole(folder.checkpoints) or "the start: no checkpoint yet")
        ready = again(ready, decided)


def _fitting(ready: Preparation, decided: Decisions) -> Fitting:
    settings = ready.settings
    origin = Origin(
        version=__version__,
        epochs=settings.epochs,
        pieces=settings.trainer.accumulate_grad_batches,
        processes=ready.machine.processes.value,
        rate=settings.rollback_rate**decided.rollbacks,
    )
    return Fitting(ready.classifier, ready.data, settings, ready.machine, origin)


def free_memory(machine: Machine) -> None:
    """Give back what is no longer needed."""
    gc.collect()
    if machine.device.value == "cuda":
        torch.cuda.empty_cache()


def after_out_of_memory(
    ready: Preparation, decided: Decisions, folder: RunFolder, error: OutOfMemoryError
) -> Decisions:
    """How to start again with smaller pieces; of several processes all end first, as others wait in mid-step."""
    decided = _smaller(ready, decided, error)
    if ready.machine.processes.value > 1:
        decided.write(folder)
        raise error
    return decided


def _smaller(ready: Preparation, decided: Decisions, error: OutOfMemoryError) -> Decisions:
    """Twice as many pieces, or the next number that cuts the batch evenly; the error where there is none."""
    settings = ready.settings
    pieces = settings.trainer.accumulate_grad_batches
    least = (2 if has_batch_norm(ready.classifier.network) else 1) * ready.machine.processes.value
    finer = [n for n in range(2 * pieces, settings.batch_size + 1, pieces) if settings.batch_size % n == 0]
    limited = isinstance(settings.trainer.limit_train_batches, float)
    if not finer or settings.batch_size // finer[0] < least or limited:
        raise OutOfMemoryError(
            error.problem,
            where=error.where,
            accepted=f"with {settings.batch_size // pieces} pictures at once, and fewer are not possible",
            remedy=f"use batch_size={max(1, settings.batch_size // 2)}, a smaller network or a smaller image_size",
        )
    LOG.warning(
        "out of memory with %d pictures at once: going on with %d, in %d such pieces a step; batch_size stays %d",
        settings.batch_size // pieces,
        settings.batch_size // finer[0],
        finer[0],
        settings.batch_size,
    )
    return decided.but(pieces=finer[0], pieces_reason="memory ran out with larger pieces")


def _slower(
    settings: TrainSettings, folder: RunFolder, decided: Decisions, error: DivergedError
) -> Decisions:
    """One rollback more; the error where the settings do not want one, or none is left."""
    if settings.on_nan == "stop":
        raise error
    if decided.rollbacks >= settings.rollback_times:
        rate = settings.rollback_rate**decided.rollbacks
        raise DivergedError(
            error.problem,
            where=error.where,
            accepted=f"after {counted(decided.rollbacks, 'rollback')}, at {rate:g} of the rate",
            remedy=error.remedy.removesuffix(" or on_nan=rollback"),
        )
    rollbacks = decided.rollbacks + 1
    # One process tells it: all have met it together.
    LOG.log(
        logging.WARNING if is_first_process() else logging.DEBUG,
        "%s: %s; going back to the last checkpoint, at %g of the rate (rollback %d of %d)",
        error.problem,
        error.where,
        settings.rollback_rate**rollbacks,
        rollbacks,
        settings.rollback_times,
    )
    return decided.but(rollbacks=rollbacks, back_at=_place_to_go_back_to(folder, decided))


def _place_to_go_back_to(folder: RunFolder, decided: Decisions) -> str | None:
    """The last checkpoint; the one before it where the last rollback went there too, and came no further."""
    last = newest_whole(folder.checkpoints)
    if last is None or last.name != decided.back_at:
        return last.name if last else None
    # Its weights are finite, but already beyond help.
    if is_first_process():
        last.unlink(missing_ok=True)
    before = [path for path in checkpoints(folder.checkpoints) if path.name != last.name and is_whole(path)]
    return before[0].name if before else None
