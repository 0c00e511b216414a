"""Lightning's Trainer, assembled from settings; one training from start to best epoch."""

from __future__ import annotations

import logging
import math
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerStatus
from torch import Tensor

from discerna.directories.run_folder import RunFolder
from discerna.errors import DivergedError, OutOfMemoryError
from discerna.machine import Machine
from discerna.progress import Progress
from discerna.settings.train import METRIC_MODES, TrainSettings
from discerna.training.classifier import Classifier
from discerna.training.data_module import PictureData
from discerna.training.epoch_record import EpochRecord
from discerna.training.extensions import build_callbacks, build_loggers
from discerna.training.stopping import build_stopping, reason

LOG = logging.getLogger("discerna")

# Settings of the group that are not Lightning's, or that the machine has decided.
_OURS = {"accelerator", "devices", "strategy", "precision", "channels_last", "fused", "threads"}


@dataclass(frozen=True)
class FitOutcome:
    """What a training came to."""

    is_first_process: bool
    weights: dict[str, Tensor]
    """Those of the best epoch; empty on other processes than the first."""
    best_epoch: int
    stopped: str
    rows: list[dict[str, float]]


def fit(
    classifier: Classifier,
    data: PictureData,
    settings: TrainSettings,
    machine: Machine,
    folder: RunFolder,
    progress: Progress,
) -> FitOutcome:
    """Train, and give back the weights of the best epoch."""
    if torch.get_num_threads() != machine.threads.value:
        torch.set_num_threads(machine.threads.value)
    best = ModelCheckpoint(
        dirpath=folder.checkpoints,
        filename="best",
        monitor=settings.monitor,
        mode=METRIC_MODES[settings.monitor],
        save_top_k=1,
        enable_version_counter=False,
    )
    # ModelCheckpoint's own save_last writes only when an epoch is the best.
    last = ModelCheckpoint(dirpath=folder.checkpoints, filename="last", enable_version_counter=False)
    stopping = build_stopping(settings)
    foretell = settings.trainer.accelerator == "auto" and machine.device.value == "cpu"
    metrics_file = folder.metrics if settings.logger.metrics_file else None
    record = EpochRecord(settings, metrics_file, progress, foretell, len(data.train))
    callbacks: list[Callback] = [record, best, last, *build_callbacks(settings.callbacks, folder.path)]
    if stopping is not None:
        callbacks.append(stopping)
    if machine.channels_last.value:
        classifier.network.to(memory_format=torch.channels_last)
    with _quiet_lightning():
        trainer = Trainer(
            **_arguments(settings, machine),
            callbacks=callbacks,
            logger=build_loggers(settings.logger.own, folder.path) or False,
            default_root_dir=folder.path,
        )
        # Steps seed torch's generator; a program that calls us keeps its own stream of random numbers.
        with _clear_failures(trainer, settings), torch.random.fork_rng(devices=[]):
            trainer.fit(classifier, datamodule=data)
    stopped = reason(trainer, stopping, settings)
    if not trainer.is_global_zero:
        return FitOutcome(False, {}, 0, stopped, record.rows)
    weights, epoch = _best_weights(best, last, classifier)
    return FitOutcome(True, weights, epoch, stopped, record.rows)


def _arguments(settings: TrainSettings, machine: Machine) -> dict[str, Any]:
    own = settings.trainer
    passed = {name: getattr(own, name) for name in own.__dataclass_fields__ if name not in _OURS}
    several = machine.processes.value > 1 or own.num_nodes > 1
    return {
        **passed,
        "accelerator": machine.device.value,
        "devices": own.devices if isinstance(own.devices, list) else machine.processes.value,
        "strategy": "ddp" if several else "auto",
        "precision": machine.precision.value,
        "max_epochs": settings.epochs,
        "enable_progress_bar": False,
        "use_distributed_sampler": False,
        "enable_autolog_hparams": False,
    }


def _best_weights(
    best: ModelCheckpoint, last: ModelCheckpoint, classifier: Classifier
) -> tuple[dict[str, Tensor], int]:
    score = best.best_model_score
    if score is not None and not math.isfinite(float(score)):
        raise DivergedError(
            f"{best.monitor} was not finite in any epoch",
            accepted="no model was written",
            remedy="use a smaller learning_rate",
        )
    path = Path(best.best_model_path or last.best_model_path)
    if not path.is_file():  # no epoch was validated, as with max_steps below one epoch
        LOG.warning("no epoch was validated; the last weights are kept")
        return {name: value.detach().cpu() for name, value in classifier.network.state_dict().items()}, 1
    # Never falls back to unpickling: the file is ours, but it may have been replaced.
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    prefix = "network."
    weights = {
        name.removeprefix(prefix): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    return weights, int(checkpoint["epoch"]) + 1


@contextmanager
def _clear_failures(trainer: Trainer, settings: TrainSettings) -> Iterator[None]:
    """Out of memory and Ctrl-C, told in our words."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit:
        # Lightning turns Ctrl-C into exit(1) and leaves SIGINT ignored.
        if trainer.state.status == TrainerStatus.INTERRUPTED:
            raise KeyboardInterrupt from None
        raise
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        pieces = settings.trainer.accumulate_grad_batches * 2
        possible = settings.batch_size % pieces == 0
        cut = f"trainer.accumulate_grad_batches={pieces} (same batch, in pieces), or " if possible else ""
        raise OutOfMemoryError(
            "out of memory",
            where=f"batch_size={settings.batch_size}, {str(error).splitlines()[0][:120]}",
            accepted="no model was written",
            remedy=f"use {cut}batch_size={max(1, settings.batch_size // 2)}",
        ) from None
    finally:
        if main and before is not None:
            signal.signal(signal.SIGINT, before)


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    told = str(error)
    return (
        "can't allocate memory" in told
        or "CUDA out of memory" in told
        or "CUBLAS_STATUS_ALLOC_FAILED" in told
    )


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Without Lightning's notes about itself: discerna tells the same choices with their reasons."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Each is about something that is so on purpose.
        for text in _EXPECTED:
            warnings.filterwarnings("ignore", message=text)
        yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


_EXPECTED = (
    r".*It is recommended to use `self.log.*sync_dist=True.*",  # torchmetrics has added the processes up already
    r".*isinstance\(treespec, LeafSpec\).* is deprecated.*",  # Lightning 2.6 with torch 2.15
    r".*does not have many workers.*",  # the machine has chosen, with a reason
    r".*number of training batches .* is smaller than the logging interval.*",  # small data is welcome
    r".*Checkpoint directory .* exists and is not empty.*",  # a run folder of ours
    r".*GPU available but not used.*",  # trainer=cpu was typed
    r".*`compute` method of metric .* was called before the `update` method.*",  # more processes than pictures
)
