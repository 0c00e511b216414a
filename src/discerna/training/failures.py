"""What Lightning, torch and the system say when a training fails, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException

from discerna.errors import OutOfMemoryError, OutputError, ProcessError, SettingsError
from discerna.memory import is_out_of_memory
from discerna.settings.train import TrainSettings
from discerna.training.compilation import is_of_compiler
from discerna.training.keyed_loader import is_of_dead_worker
from discerna.wording import short


@contextmanager
def clear_failures(settings: TrainSettings) -> Iterator[None]:
    """What Lightning, torch and the system say of a user's mistake or an accident, in our words."""
    try:
        yield
    except MisconfigurationException as error:
        raise _unfit(error) from None
    except ValueError as error:
        if "val_check_interval" not in str(error):
            raise
        raise _unfit(error) from None
    except OSError as error:
        if error.errno is None:
            raise
        raise OutputError(
            "the run folder cannot be written",
            where=str(error.filename or settings.output),
            accepted=str(error.strerror),
            remedy="make room, or choose another output",
        ) from None
    except (MemoryError, RuntimeError) as error:
        if is_of_dead_worker(error):
            raise ProcessError(
                "a process that reads pictures ended",
                where=str(error).splitlines()[0],
                accepted="the system may have killed it for memory",
                remedy="use fewer loading.workers, or loading.workers=0",
            ) from None
        if is_of_compiler(error) and not is_out_of_memory(error):
            raise SettingsError(
                "the network cannot be compiled",
                where=f"trainer.compile={settings.trainer.compile}",
                accepted=short(" ".join(str(error).split()), 200),
                remedy="use trainer.compile=false",
            ) from None
        if not is_out_of_memory(error):
            raise
        raise _out_of_memory(error, settings) from None


def _unfit(error: Exception) -> SettingsError:
    told = " ".join(str(error).replace("`", "").split())
    return SettingsError(
        "a setting of the trainer does not fit",
        where=told,
        remedy="change it; discerna train --help tells what each accepts",
    )


def _out_of_memory(error: Exception, settings: TrainSettings) -> OutOfMemoryError:
    pieces = settings.trainer.accumulate_grad_batches * 2
    cut = ""
    if settings.batch_size % pieces == 0:
        cut = f"trainer.accumulate_grad_batches={pieces} (same batch, in pieces), or "
    told = (str(error).splitlines() or [type(error).__name__])[0][:120]
    return OutOfMemoryError(
        "out of memory",
        where=f"batch_size={settings.batch_size}, {told}",
        accepted="no model was written",
        remedy=f"use {cut}batch_size={max(1, settings.batch_size // 2)}",
    )
