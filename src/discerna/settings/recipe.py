"""The settings that decide how a network learns, with nothing left to choose."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.build import build, plain
from discerna.settings.optimizer import AdamWSettings, SgdSettings
from discerna.settings.ranges import SMALLEST_DOUBLE, AtLeast, Below
from discerna.settings.scheduler import (
    AzurePolynomialSettings,
    ConstantSettings,
    CosineSettings,
    OneCycleSettings,
    PlateauSettings,
    PolynomialSettings,
)
from discerna.settings.train import LabelWeights, Sampler, TrainSettings

ChosenScheduler = (
    ConstantSettings
    | CosineSettings
    | OneCycleSettings
    | PolynomialSettings
    | PlateauSettings
    | AzurePolynomialSettings
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the room `training` learns by; the fields are those of the train settings."""

    learning_rate: Annotated[float, AtLeast(SMALLEST_DOUBLE)]
    augmentation: AugmentationSettings
    optimizer: SgdSettings | AdamWSettings
    scheduler: ChosenScheduler
    label_smoothing: Annotated[float, Below(0, 1)]
    label_weights: LabelWeights
    sampler: Sampler
    freeze_epochs: Annotated[int, AtLeast(0)]
    ema: Annotated[float, Below(0, 1)]
    start_size: Annotated[int, AtLeast(1)] | None

    @classmethod
    def of(cls, settings: TrainSettings) -> Recipe:
        """The recipe in settings that hold no `auto` any more."""
        values = plain(settings)
        return build(cls, {field.name: values[field.name] for field in fields(cls)})
