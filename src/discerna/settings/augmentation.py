"""The group `augmentation`: how training pictures are varied, afresh in each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from discerna.errors import SettingsError
from discerna.settings.ranges import AtLeast, Between

Auto = Literal["auto"]


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """What is done to a training picture; `auto` leaves a part of it to the recipe."""

    name: Literal["auto", "none", "light", "medium", "strong"]
    crop_scale: list[Annotated[float, Between(0.01, 1)]] | Auto
    """[1.0, 1.0]: the picture is fitted as for scoring."""
    random_crop: bool | Auto
    padding: Annotated[float, Between(0, 1)] | Auto
    flip: Annotated[float, Between(0, 1)] | Auto
    vertical_flip: Annotated[float, Between(0, 1)] | Auto
    rotation: Annotated[float, Between(0, 180)] | Auto
    affine: Annotated[float, Between(0, 0.9)] | Auto
    perspective: Annotated[float, Between(0, 1)] | Auto
    jitter: Annotated[float, Between(0, 1)] | Auto
    grayscale: Annotated[float, Between(0, 1)] | Auto
    trivial: bool | Auto
    erasing: Annotated[float, Between(0, 1)] | Auto
    mixup: Annotated[float, AtLeast(0)] | Auto
    cutmix: Annotated[float, AtLeast(0)] | Auto

    def __post_init__(self) -> None:
        scale = self.crop_scale
        if isinstance(scale, list) and (len(scale) != 2 or scale[0] > scale[1]):
            raise SettingsError(
                "crop_scale is two numbers, the smaller first",
                where=f"augmentation.crop_scale={scale}",
                accepted="shares of the picture's area, such as [0.35, 1.0]",
            )
        if self.random_crop is True and isinstance(scale, list) and scale != [1, 1]:
            raise SettingsError(
                "two settings choose the part of the picture",
                where=f"augmentation.random_crop=true augmentation.crop_scale={scale}",
                accepted="crop_scale cuts parts of many sizes, random_crop the one that scoring cuts from the middle",
                remedy="use augmentation.crop_scale=[1,1], or leave out random_crop",
            )
