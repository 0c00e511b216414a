"""The group `augmentation`: how training pictures are varied, afresh in each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from discerna.errors import SettingsError
from discerna.settings.ranges import Between


@dataclass(frozen=True, kw_only=True)
class NoAugmentationSettings:
    """Training pictures are prepared exactly like those to be scored."""

    name: Literal["none"]


@dataclass(frozen=True, kw_only=True)
class LightAugmentationSettings:
    """A random crop, a flip and a change of colours."""

    name: Literal["light"]
    crop_scale: list[Annotated[float, Between(0.01, 1)]]
    flip: Annotated[float, Between(0, 1)]
    jitter: Annotated[float, Between(0, 1)]

    def __post_init__(self) -> None:
        if len(self.crop_scale) != 2 or self.crop_scale[0] > self.crop_scale[1]:
            raise SettingsError(
                "crop_scale is two numbers, the smaller first",
                where=f"augmentation.crop_scale={self.crop_scale}",
                accepted="shares of the picture's area, such as [0.35, 1.0]",
            )


AugmentationSettings = NoAugmentationSettings | LightAugmentationSettings
