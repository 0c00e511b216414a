"""The preprocessing that a model directory stores: what a network sees of a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from discerna.errors import SettingsError
from discerna.settings.ranges import AtLeast

Fit = Literal["crop", "pad", "stretch"]
Interpolation = Literal["bilinear", "bicubic", "lanczos", "nearest"]

LARGEST_SIZE = 16384
"""Pictures of more pixels a side fit into no memory, whoever asks for them."""

LARGEST_NUMBER = 1e6
"""Brightness goes from 0 to 1, and no mean or deviation comes near; far beyond, arithmetic overflows."""

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


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
    grayscale: bool = False
    """The colours are taken away; red, green and blue become equal."""
    border: Annotated[int, AtLeast(0)] = 0
    """So many pixels of the square's `size`, on each side, are ground of the mean colour."""

    def __post_init__(self) -> None:
        if max(self.size, self.resize) > LARGEST_SIZE:
            raise SettingsError(
                "pictures that fit into no memory",
                where=f"image_size={self.size} resize={self.resize}",
                accepted=f"{LARGEST_SIZE} pixels a side at most",
                remedy="use a smaller image_size or resize",
            )
        if 2 * self.border >= self.size:
            raise SettingsError(
                "the border would cover the picture",
                where=f"border={self.border}",
                accepted=f"less than half of size={self.size}",
                remedy="use a smaller border or a larger size",
            )
        if self.resize < self.inner:
            raise SettingsError(
                "the picture would be smaller than its crop",
                where=f"resize={self.resize}",
                accepted=f"size={self.inner} or more",
                remedy="use a larger resize",
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise SettingsError(
                "mean and std need three numbers, std above 0",
                where=f"mean={self.mean} std={self.std}",
                accepted="one number for each of red, green and blue",
            )
        if max(map(abs, (*self.mean, *self.std, *(1 / std for std in self.std)))) > LARGEST_NUMBER:
            raise SettingsError(
                "mean and std are beyond what arithmetic holds",
                where=f"mean={self.mean} std={self.std}",
                accepted=f"none is above {LARGEST_NUMBER:g}, no std below {1 / LARGEST_NUMBER:g}",
                remedy="brightness goes from 0 to 1: give numbers of about that size",
            )

    @property
    def inner(self) -> int:
        """Side of the square that the picture itself gets."""
        return self.size - 2 * self.border

    def scaled(self, size: int) -> Preprocessing:
        """The preprocessing for pictures of another size, which keeps the same share of each."""
        border = min(round(self.border * size / self.size), (size - 1) // 2)
        resize = round(self.resize * (size - 2 * border) / self.inner)
        return replace(self, size=size, resize=resize, border=border)


def changed(
    preprocessing: Preprocessing,
    *,
    image_size: int | None = None,
    fit: Fit | None = None,
    resize: int | None = None,
    interpolation: Interpolation | None = None,
    mean: list[float] | None = None,
    std: list[float] | None = None,
    grayscale: bool | None = None,
    border: int | None = None,
) -> Preprocessing:
    """The preprocessing with what the user typed; None leaves a value, and another size scales `resize`."""
    if resize is not None and fit in ("pad", "stretch"):
        raise SettingsError(
            f"a setting without effect with fit={fit}",
            where=f"resize={resize}",
            accepted="only fit=crop resizes before it cuts",
            remedy="leave out resize",
        )
    sized = preprocessing.scaled(image_size or preprocessing.size)
    if border is not None:
        inner = max(1, sized.size - 2 * border)  # too wide a border is refused below
        own = round(sized.resize * inner / sized.inner)
    else:
        border, own = sized.border, sized.resize
    return Preprocessing(
        size=sized.size,
        fit=fit or preprocessing.fit,
        resize=resize or own,
        interpolation=interpolation or preprocessing.interpolation,
        mean=preprocessing.mean if mean is None else mean,
        std=preprocessing.std if std is None else std,
        grayscale=preprocessing.grayscale if grayscale is None else grayscale,
        border=border,
    )
