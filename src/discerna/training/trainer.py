"""Lightning's Trainer, assembled from settings; one training from start to best epoch."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelSummary
from lightning.pytorch.trainer.states import TrainerStatus
from torch import Tensor

from discerna.allocator import keep_blocks
from discerna.directories.checkpoint_files import newest_whole
from discerna.directories.run_folder import RunFolder
from discerna.errors import Terminated
from discerna.machine import Machine
from discerna.networks.products import fp32_products
from discerna.progress import Progress
from discerna.ranks import machines
from discerna.settings.recipe import Recipe
from discerna.settings.scheduler import PlateauSettings
from discerna.settings.train import TrainSettings
from discerna.training.averaging import MovingAverage
from discerna.training.bad_pictures import BadPictureWatch
from discerna.training.best_epoch import BestEpoch, network_weights
from discerna.training.checkpoint_io import WholeCheckpoints, unfit
from discerna.training.checkpoints import Checkpoints, Origin
from discerna.training.classifier import Classifier
from discerna.training.data_module import PictureData
from discerna.training.epoch_record import EpochRecord
from discerna.training.extensions import build_callbacks, build_loggers
from discerna.training.failures import clear_failures
from discerna.training.freezing import BodyFreezing
from discerna.training.interruption import Interruption
from discerna.training.quiet import quiet_lightning
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
    "tf32",
    "channels_last",
    "sync_batchnorm",
    "fused",
    "threads",
    "compile",
    "batch_finder",
}


@dataclass(frozen=True)
class Fitting:
    """What `fit` trains."""

    classifier: Classifier
    data: PictureData
    settings: TrainSettings
    machine: Machine
    origin: Origin


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
    ready: Fitting,
    folder: RunFolder,
    progress: Progress,
    on_row: Callable[[dict[str, float]], None] = lambda row: None,
) -> FitOutcome:
    """Train on from the newest checkpoint in the folder, or from the start; give back the weights of the best epoch.

    `on_row` hears of each epoch, in the first process.
    """
    keep_blocks()
    classifier, data, settings, machine = ready.classifier, ready.data, ready.settings, ready.machine
    set_up(classifier, machine)
    recipe = classifier.recipe
    stopping = build_stopping(settings)
    foretell = settings.trainer.accelerator == "auto" and machine.device.value == "cpu"
    metrics_file = folder.metrics if settings.logger.metrics_file else None
    record = EpochRecord(settings, metrics_file, progress, foretell, on_row)
    best = BestEpoch(folder.checkpoints, settings.monitor)
    own = build_callbacks(settings.callbacks, folder.path)
    callbacks: list[Callback] = [record, best, *own]
    if data.bad is not None:  # first, since an epoch without a readable picture has no figures to record
        callbacks.insert(0, BadPictureWatch(data.bad))
    if stopping is not None:
        callbacks.append(stopping)
    if isinstance(recipe.scheduler, PlateauSettings):
        callbacks.append(PlateauWatch(settings.monitor))
    if recipe.freeze_epochs:
        callbacks.append(BodyFreezing(recipe.freeze_epochs, classifier.head))
    average = MovingAverage(recipe.ema) if recipe.ema else None
    if average is not None:
        callbacks.append(average)
    if classifier.budget is not None:
        callbacks.append(classifier.budget)
    if settings.trainer.enable_model_summary:
        callbacks.append(LoggedSummary())
    interruption = Interruption()
    limit = settings.trainer.limit_train_batches
    checkpoints = Checkpoints(folder, settings, best, record, interruption, ready.origin, data.batches(limit))
    callbacks.append(checkpoints)
    start = newest_whole(folder.checkpoints)
    shapes = {name: value.shape for name, value in classifier.state_dict().items()}
    with quiet_lightning(), clear_failures(settings):
        trainer = Trainer(
            **trainer_arguments(settings, recipe, machine),
            plugins=[WholeCheckpoints(shapes), environment_of(machine.processes.value > 1)],
            callbacks=callbacks,
            logger=build_loggers(settings.logger.own, folder.path) or False,
            default_root_dir=folder.path,
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in own),
        )
        with interruptible(trainer, interruption), own_ways(machine), _readable(start, checkpoints):
            try:
                trainer.fit(classifier, datamodule=data, ckpt_path=start, weights_only=True)
            finally:
                data.close()
    stopped = reason(trainer, stopping, settings, classifier.budget)
    # Asked of all processes: each may have a part of the weights only.
    latest = {} if best.epoch else trainer.strategy.lightning_module_state_dict()
    if not trainer.is_global_zero:
        return FitOutcome(False, {}, 0, stopped, record.rows)
    best.raise_if_never_finite()
    if best.epoch:
        return FitOutcome(True, best.weights(), best.epoch, stopped, record.rows)
    # As with max_steps below one epoch.
    LOG.warning("no epoch was validated; the last weights are kept")
    weights = network_weights(average.averaged() if average else latest)
    return FitOutcome(True, weights, max(1, trainer.current_epoch), stopped, record.rows)


def set_up(classifier: Classifier, machine: Machine) -> None:
    """What must be so before a trainer takes the network."""
    if torch.get_num_threads() != machine.threads.value:
        torch.set_num_threads(machine.threads.value)
    if machine.channels_last.value:
        classifier.network.to(memory_format=torch.channels_last)


@contextmanager
def _readable(start: Path | None, checkpoints: Checkpoints) -> Iterator[None]:
    """What comes of a checkpoint whose parts do not fit what is trained."""
    try:
        yield
    except (
        *(KeyError, ValueError, TypeError, AttributeError, IndexError, AssertionError),
        *(OverflowError, ZeroDivisionError, MisconfigurationException),
    ) as error:
        if start is None or checkpoints.has_started:
            raise
        raise unfit(start, f"{type(error).__name__}: {error}".splitlines()[0][:200]) from None


@contextmanager
def own_ways(machine: Machine) -> Iterator[None]:
    """A program that calls us keeps its own streams of random numbers, and its way to multiply."""
    on_gpu = machine.device.value == "cuda"
    products: AbstractContextManager[None] = nullcontext()
    if on_gpu and machine.precision.value == "32-true":
        products = fp32_products("tf32" if machine.tf32.value else "ieee")
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if on_gpu else []), products:
        yield


def trainer_arguments(settings: TrainSettings, recipe: Recipe, machine: Machine) -> dict[str, Any]:
    """What Lightning's Trainer is told of settings and machine."""
    own = settings.trainer
    passed = {name: getattr(own, name) for name in own.__dataclass_fields__ if name not in _OURS}
    count = machine.processes.value
    return {
        **passed,
        "accelerator": machine.device.value,
        "devices": own.devices if isinstance(own.devices, list) else count // machines(count),
        "num_nodes": machines(count),
        "strategy": build_strategy(settings, machine, recipe),
        "sync_batchnorm": machine.sync_batchnorm.value,
        "precision": machine.precision.value,
        "max_epochs": settings.epochs,
        "enable_progress_bar": False,
        "use_distributed_sampler": False,
        "enable_autolog_hparams": False,
    }


def environment_of(several: bool) -> ClusterEnvironment:
    """Who has started the processes; Lightning's guess takes a lone process on a cluster for one of many."""
    if not several:
        return LightningEnvironment()
    # Signals are ours: Lightning would write a checkpoint in mid-step.
    return (
        TorchElasticEnvironment()
        if TorchElasticEnvironment.detect()
        else SLURMEnvironment(auto_requeue=False)
    )


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
def interruptible(trainer: Trainer, interruption: Interruption) -> Iterator[None]:
    """Signals stay ours.

    Lightning's handlers talk to other processes from within, which may hang, and turn SIGTERM into exit code 0 and
    Ctrl-C into 1; afterwards SIGINT is ignored.
    """
    connector: Any = trainer._signal_connector
    connector.register_signal_handlers = _nothing
    loop: Any = trainer.fit_loop.epoch_loop
    loop._broadcast_sigterm_tensor = _nothing  # at each batch, which would make a GPU wait
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit:
        if trainer.state.status == TrainerStatus.INTERRUPTED:
            raise KeyboardInterrupt from None
        raise
    finally:
        interruption.leave()
        if main and before is not None:
            signal.signal(signal.SIGINT, before)
    if interruption.number:  # it came after the last look
        raise KeyboardInterrupt if interruption.number == signal.SIGINT else Terminated


def _nothing() -> None:
    """In the place of what is not wanted."""
