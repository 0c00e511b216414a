"""Lightning's Trainer, assembled from settings; one training from start to best epoch."""

from __future__ import annotations

import logging
import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ModelSummary
from lightning.pytorch.trainer.states import TrainerStatus
from torch import Tensor

from discerna.directories.run_folder import RunFolder
from discerna.errors import DivergedError, Terminated
from discerna.machine import Choice, Machine
from discerna.progress import Progress
from discerna.settings.recipe import Recipe
from discerna.settings.scheduler import PlateauSettings
from discerna.settings.train import METRIC_MODES, TrainSettings
from discerna.training.averaging import MovingAverage
from discerna.training.bad_pictures import BadPictureWatch
from discerna.training.classifier import Classifier
from discerna.training.data_module import PictureData
from discerna.training.epoch_record import EpochRecord
from discerna.training.extensions import build_callbacks, build_loggers
from discerna.training.failures import clear_failures
from discerna.training.freezing import BodyFreezing
from discerna.training.quiet import quiet_lightning
from discerna.training.rate_finder import STEPS, RateSweep, suggestion
from discerna.training.schedules import PlateauWatch
from discerna.training.sharding import build_strategy
from discerna.training.stopping import build_stopping, reason
from discerna.wording import align

LOG = logging.getLogger("discerna")

# Settings of the group that are not Lightning's, or that the machine has decided.
_OURS = {
    "accelerator",
    "devices",
    "strategy",
    "precision",
    "channels_last",
    "sync_batchnorm",
    "fused",
    "threads",
}


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
    on_row: Callable[[dict[str, float]], None] = lambda row: None,
) -> FitOutcome:
    """Train, and give back the weights of the best epoch; `on_row` hears of each epoch, in the first process."""
    if torch.get_num_threads() != machine.threads.value:
        torch.set_num_threads(machine.threads.value)
    # The loss of an epoch's training is known only at its end, after the validation.
    recipe = classifier.recipe
    at_end = True if settings.monitor == "train_loss" else None
    best = ModelCheckpoint(
        dirpath=folder.checkpoints,
        filename="best",
        monitor=settings.monitor,
        mode=METRIC_MODES[settings.monitor],
        save_top_k=1,
        save_weights_only=True,  # a user's callback may keep what could not be loaded again
        save_on_train_epoch_end=at_end,
        enable_version_counter=False,
    )
    # ModelCheckpoint's own save_last writes only when an epoch is the best.
    last = ModelCheckpoint(dirpath=folder.checkpoints, filename="last", enable_version_counter=False)
    stopping = build_stopping(settings)
    foretell = settings.trainer.accelerator == "auto" and machine.device.value == "cpu"
    metrics_file = folder.metrics if settings.logger.metrics_file else None
    record = EpochRecord(settings, metrics_file, progress, foretell, on_row)
    callbacks: list[Callback] = [record, best, last, *build_callbacks(settings.callbacks, folder.path)]
    if data.bad is not None:  # first, since an epoch without a readable picture has no figures to record
        callbacks.insert(0, BadPictureWatch(data.bad))
    if stopping is not None:
        callbacks.append(stopping)
    if isinstance(recipe.scheduler, PlateauSettings):
        callbacks.append(PlateauWatch(settings.monitor))
    if recipe.freeze_epochs:
        callbacks.append(BodyFreezing(recipe.freeze_epochs, classifier.head))
    if recipe.ema:
        callbacks.append(MovingAverage(recipe.ema))
    if classifier.budget is not None:
        callbacks.append(classifier.budget)
    if machine.channels_last.value:
        classifier.network.to(memory_format=torch.channels_last)
    if settings.trainer.enable_model_summary:
        callbacks.append(LoggedSummary())
    with quiet_lightning(), clear_failures(settings):
        trainer = Trainer(
            **_arguments(settings, recipe, machine),
            callbacks=callbacks,
            logger=build_loggers(settings.logger.own, folder.path) or False,
            default_root_dir=folder.path,
        )
        with _interruptible(trainer), _own_randomness(machine):
            trainer.fit(classifier, datamodule=data)
    stopped = reason(trainer, stopping, settings, classifier.budget)
    # Asked of all processes: each may have a part of the weights only.
    latest = {} if best.best_model_path else trainer.strategy.lightning_module_state_dict()
    if not trainer.is_global_zero:
        return FitOutcome(False, {}, 0, stopped, record.rows)
    weights, epoch = _best_weights(best, trainer, latest)
    return FitOutcome(True, weights, epoch, stopped, record.rows)


def find_rate(classifier: Classifier, data: PictureData, settings: TrainSettings, machine: Machine) -> Choice:
    """The learning rate that a trial suggests; what `classifier` learns in it is of no use."""
    classifier.on_trial = True
    sweep = RateSweep()
    limits = {
        "max_epochs": -1,
        "max_steps": STEPS,
        "min_epochs": None,
        "min_steps": None,
        "max_time": None,
        "accumulate_grad_batches": settings.trainer.accumulate_grad_batches,
        "limit_val_batches": 0,
        "num_sanity_val_steps": 0,
        "val_check_interval": None,
        "profiler": None,
        "enable_model_summary": False,
        "enable_checkpointing": False,
    }
    with quiet_lightning(), clear_failures(settings):
        arguments = {**_arguments(settings, classifier.recipe, machine), **limits}
        trainer = Trainer(**arguments, callbacks=[sweep], logger=False)
        with _interruptible(trainer), _own_randomness(machine):
            trainer.fit(classifier, datamodule=data)
    return suggestion(sweep.rates, sweep.losses)


@contextmanager
def _own_randomness(machine: Machine) -> Iterator[None]:
    """Steps seed torch's generators; a program that calls us keeps its own streams of random numbers."""
    gpus = [torch.cuda.current_device()] if machine.device.value == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        yield


def _arguments(settings: TrainSettings, recipe: Recipe, machine: Machine) -> dict[str, Any]:
    own = settings.trainer
    passed = {name: getattr(own, name) for name in own.__dataclass_fields__ if name not in _OURS}
    return {
        **passed,
        "accelerator": machine.device.value,
        "devices": own.devices if isinstance(own.devices, list) else machine.processes.value,
        "strategy": build_strategy(machine, recipe),
        "sync_batchnorm": machine.sync_batchnorm.value,
        "precision": machine.precision.value,
        "max_epochs": settings.epochs,
        "enable_progress_bar": False,
        "use_distributed_sampler": False,
        "enable_autolog_hparams": False,
    }


def _best_weights(
    best: ModelCheckpoint, trainer: Trainer, latest: dict[str, Any]
) -> tuple[dict[str, Tensor], int]:
    score = best.best_model_score
    if score is not None and not math.isfinite(float(score)):
        raise DivergedError(
            f"{best.monitor} was not finite in any epoch",
            accepted="no model was written",
            remedy="use a smaller learning_rate",
        )
    path = Path(best.best_model_path)
    if not path.is_file():  # no epoch was validated, as with max_steps below one epoch
        LOG.warning("no epoch was validated; the last weights are kept")
        return _of_network(latest), max(1, trainer.current_epoch)
    # Never falls back to unpickling: the file is ours, but it may have been replaced.
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    return _of_network(checkpoint["state_dict"]), int(checkpoint["epoch"]) + 1


def _of_network(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = "network."
    return {
        name.removeprefix(prefix): value.detach().cpu()
        for name, value in state.items()
        if name.startswith(prefix)
    }


class LoggedSummary(ModelSummary):
    """Lightning's table of layers as a note; its own goes to the standard output."""

    @staticmethod
    def summarize(
        summary_data: list[tuple[str, list[str]]],
        total_parameters: int,
        trainable_parameters: int,
        model_size: float,
        total_training_modes: dict[str, int],
        total_flops: int,
        **kwargs: Any,
    ) -> None:
        """Called by Lightning with the columns of the table."""
        columns = [[title.strip(), *cells] for title, cells in summary_data]
        LOG.info("%s", align(list(zip(*columns, strict=True)), indent="  "))
        LOG.info("  %s parameters, %s of them learn", f"{total_parameters:,}", f"{trainable_parameters:,}")


@contextmanager
def _interruptible(trainer: Trainer) -> Iterator[None]:
    """Signals stay what they are: Lightning turns them into exits with other codes, and leaves SIGINT ignored."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit:
        if (
            trainer.received_sigterm
        ):  # ours was swallowed, as some library code does, and Lightning has noticed
            raise Terminated from None
        if trainer.state.status == TrainerStatus.INTERRUPTED:
            raise KeyboardInterrupt from None
        raise
    finally:
        if main and before is not None:
            signal.signal(signal.SIGINT, before)
