"""The preprocessing that a model directory stores: what a network sees of a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from discerna.errors import SettingsError
from discerna.settings.ranges import AtLeast

Fit = Literal["crop", "pad", "stretch"]
Interpolation = Literal["bilinear", "bicubic", "lanczos", "nearest"]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Decode, turn by EXIF, RGB, then `fit` to a square of `size` pixels, then scale and normalise."""

    size: Annotated[int, AtLeast(1)]
    """Side of the square that the network sees."""
    fit: Fit
    """crop: the middle square; pad: all of it on a ground of the mean colour; stretch: all of it, deformed."""
    resize: Annotated[int, AtLeast(1)]
    """crop only: the short side is this long before the middle square of `size` is taken."""
    interpolation: Interpolation
    mean: list[float]
    std: list[float]

    def __post_init__(self) -> None:
        if self.resize < self.size:
            raise SettingsError(
                "the picture would be smaller than its crop",
                where=f"resize={self.resize}",
                accepted=f"size={self.size} or more",
                remedy="use a larger resize",
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise SettingsError(
                "mean and std need three numbers, std above 0",
                where=f"mean={self.mean} std={self.std}",
                accepted="one number for each of red, green and blue",
            )

    def scaled(self, size: int) -> Preprocessing:
        """The preprocessing for pictures of another size, which keeps the same share of each."""
        return replace(self, size=size, resize=round(self.resize * size / self.size))
