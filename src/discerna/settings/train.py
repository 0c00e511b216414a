"""The settings of `discerna train`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from discerna.errors import SettingsError
from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.checkpoint import CheckpointSettings
from discerna.settings.early_stopping import StoppingSettings
from discerna.settings.launch import LaunchSettings
from discerna.settings.loading import TrainLoadingSettings
from discerna.settings.logger import LoggerSettings
from discerna.settings.networks import NetworksSettings
from discerna.settings.optimizer import OptimizerSettings
from discerna.settings.preprocessing import Fit, Interpolation
from discerna.settings.ranges import SMALLEST_DOUBLE, AtLeast, Below, ModelReference, Verbatim
from discerna.settings.scheduler import AzurePolynomialSettings, SchedulerSettings
from discerna.settings.score import Place
from discerna.settings.sweep import SweepSettings, TerminationSettings
from discerna.settings.trainer import TrainerSettings

Metric = Literal["train_loss", "valid_loss", "valid_accuracy", "valid_top5"]

Auto = Literal["auto"]
LabelWeights = Literal["none", "balanced", "sqrt"]
Sampler = Literal["shuffle", "balanced"]

METRIC_MODES = {"train_loss": "min", "valid_loss": "min", "valid_accuracy": "max", "valid_top5": "max"}
"""Which way is better: the one source for early stopping, checkpoints and reports."""


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Everything that decides a run."""

    model: Annotated[str, ModelReference()]
    train_data: Path
    valid_data: Path
    output: Path | None
    registry: Place | None
    experiment_name: Annotated[str, Verbatim("a name")]
    epochs: Annotated[int, AtLeast(1)]
    batch_size: Annotated[int, AtLeast(1)]
    learning_rate: Annotated[float, AtLeast(SMALLEST_DOUBLE)] | Literal["find"]
    random_seed: int | None
    patience: Annotated[int, AtLeast(1)]
    monitor: Metric
    check: Literal["quick", "full", "off"]
    max_minutes: Annotated[float, AtLeast(0.1)] | None
    pretrained: bool | str
    arguments: dict[str, Any]
    overwrite: bool
    resume: Annotated[str, Verbatim("auto, or a run folder")] | None
    force: bool
    plan: bool
    on_nan: Literal["stop", "rollback"]
    rollback_rate: Annotated[float, Below(0, 1)]
    rollback_times: Annotated[int, AtLeast(1)]
    image_size: Auto | Annotated[int, AtLeast(1)]
    fit: Auto | Fit
    resize: Auto | Annotated[int, AtLeast(1)]
    interpolation: Auto | Interpolation
    mean: Auto | list[float]
    std: Auto | list[float]
    grayscale: Auto | bool
    border: Auto | Annotated[int, AtLeast(0)]
    transforms: Path | None
    start_size: Auto | Annotated[int, AtLeast(1)] | None
    label_smoothing: Auto | Annotated[float, Below(0, 1)]
    label_weights: Auto | LabelWeights
    sampler: Auto | Sampler
    freeze_epochs: Auto | Annotated[int, AtLeast(0)]
    ema: Auto | Annotated[float, Below(0, 1)]
    recipe: str
    augmentation: AugmentationSettings
    optimizer: OptimizerSettings
    scheduler: SchedulerSettings
    early_stopping: StoppingSettings
    trainer: TrainerSettings
    loading: TrainLoadingSettings
    checkpoint: CheckpointSettings
    launch: LaunchSettings
    logger: LoggerSettings
    callbacks: dict[str, dict[str, Any]]
    networks: NetworksSettings
    sweep: SweepSettings
    space: dict[str, str]
    early_termination: TerminationSettings

    def __post_init__(self) -> None:
        if self.train_data == self.valid_data:
            raise SettingsError(
                "training and validation data are the same directory",
                where=f"train_data=valid_data={self.train_data}",
                accepted="two directories with different pictures",
                remedy="keep about a tenth of the pictures of each label apart for validation",
            )
        if self.rollback_rate == 0:
            raise SettingsError(
                "the rate would be 0 after a rollback",
                where="rollback_rate=0",
                accepted="a share of the rate, above 0 and below 1",
                remedy="leave it out for half the rate",
            )
        if not self.experiment_name.strip():
            raise SettingsError(
                "a name is empty", where="experiment_name=", remedy="leave it out for `default`"
            )
        if self.model_is_directory and (self.pretrained is not False or self.arguments):
            raise SettingsError(
                "a setting without effect",
                where="pretrained" if self.pretrained is not False else "arguments",
                accepted="a model directory has its weights and arguments already",
                remedy="give them to discerna create, or pass a network's name as model",
            )
        if self.augmentation.random_crop is True and self.fit == "stretch":
            raise SettingsError(
                "a setting without effect with fit=stretch",
                where="augmentation.random_crop=true",
                accepted="only fit=crop and fit=pad leave a choice of the place",
                remedy="leave it out, or use augmentation.padding",
            )
        if self.label_weights in ("balanced", "sqrt") and self.sampler == "balanced":
            raise SettingsError(
                "labels would be balanced twice",
                where=f"label_weights={self.label_weights} sampler=balanced",
                accepted="weights count pictures of rare labels more, the sampler draws them more often",
                remedy="leave out one of the two",
            )
        pieces = self.trainer.accumulate_grad_batches
        if self.batch_size % pieces:
            raise SettingsError(
                "the batch cannot be cut into equal pieces",
                where=f"trainer.accumulate_grad_batches={pieces}",
                accepted=f"a divisor of batch_size={self.batch_size}",
                remedy="batch_size stays the number of pictures of one optimizer step",
            )
        limit = self.trainer.limit_train_batches
        if pieces > 1 and limit is not None and (isinstance(limit, float) or limit % pieces):
            raise SettingsError(
                "the limit would cut an optimizer step",
                where=f"trainer.limit_train_batches={limit}",
                accepted=f"a multiple of trainer.accumulate_grad_batches={pieces}, as each step has so many pieces",
                remedy=f"use trainer.limit_train_batches={pieces}",
            )
        warmup = self.scheduler.warmup_epochs if isinstance(self.scheduler, AzurePolynomialSettings) else 0
        if warmup >= self.epochs:
            raise SettingsError(
                "the warmup would outlast the training",
                where=f"scheduler.warmup_epochs={warmup}",
                accepted=f"fewer than epochs={self.epochs}",
                remedy=f"use scheduler.warmup_epochs={self.epochs - 1} or less, or more epochs",
            )

    @property
    def model_is_directory(self) -> bool:
        """Whether `model` names a directory rather than a network."""
        return os.path.isabs(self.model)  # noqa: PTH117 - a text, not a path
