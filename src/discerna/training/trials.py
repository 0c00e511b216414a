"""A few steps of a training that are taken to learn something about it, and lead to no model."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback, Trainer

from discerna.machine import Machine
from discerna.settings.train import TrainSettings
from discerna.training.checkpoint_io import WholeCheckpoints
from discerna.training.classifier import Classifier
from discerna.training.data_module import PictureData
from discerna.training.failures import clear_failures
from discerna.training.interruption import Interruption
from discerna.training.quiet import quiet_lightning
from discerna.training.trainer import (
    environment_of,
    interruptible,
    own_ways,
    set_up,
    trainer_arguments,
)


def run_trial(
    classifier: Classifier,
    data: PictureData,
    settings: TrainSettings,
    machine: Machine,
    callbacks: Sequence[Callback],
    *,
    steps: int,
    first_epoch: int = 0,
) -> None:
    """Train for some steps as `fit` would, without a schedule, a validation or a checkpoint.

    Epochs follow one another until then, and begin with `first_epoch`, counted from 0: what grows or freezes with
    them does so from there.
    """
    limits = {
        "max_epochs": -1,
        "max_steps": steps,
        "accumulate_grad_batches": settings.trainer.accumulate_grad_batches,
        "limit_val_batches": 0,
        "val_check_interval": None,
    }
    with _trainer(classifier, settings, machine, callbacks, limits) as trainer:
        counted: Any = trainer.fit_loop.epoch_progress.current
        counted.ready = counted.started = counted.processed = counted.completed = first_epoch
        try:
            trainer.fit(classifier, datamodule=data)
        finally:
            data.close()


def run_validation(
    classifier: Classifier,
    data: PictureData,
    settings: TrainSettings,
    machine: Machine,
    callbacks: Sequence[Callback],
    *,
    batches: int,
) -> None:
    """Validate some batches."""
    with _trainer(classifier, settings, machine, callbacks, {"limit_val_batches": batches}) as trainer:
        trainer.validate(classifier, datamodule=data, verbose=False)


@contextmanager
def _trainer(
    classifier: Classifier,
    settings: TrainSettings,
    machine: Machine,
    callbacks: Sequence[Callback],
    limits: dict[str, Any],
) -> Iterator[Trainer]:
    classifier.on_trial = True
    set_up(classifier, machine)
    arguments = {
        **trainer_arguments(settings, classifier.recipe, machine),
        "min_epochs": None,
        "min_steps": None,
        "max_time": None,
        "num_sanity_val_steps": 0,
        "profiler": None,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        **limits,
    }
    plugins: Any = [WholeCheckpoints(), environment_of(machine.processes.value > 1)]
    with quiet_lightning(), clear_failures(settings):
        trainer = Trainer(**arguments, plugins=plugins, callbacks=list(callbacks), logger=False)
        try:
            with interruptible(trainer, Interruption()), own_ways(machine):
                yield trainer
        finally:
            # What is left of several processes' trainer would go at their end, when the connection between them is gone
            # already, and abort one of them.
            del trainer
            gc.collect()
