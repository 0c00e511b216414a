"""The settings of `discerna check`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from discerna.errors import SettingsError
from discerna.settings.augmentation import AugmentationSettings
from discerna.settings.loading import LoadingSettings
from discerna.settings.preprocessing import Fit, Interpolation
from discerna.settings.ranges import AtLeast

Auto = Literal["auto"]

SEEN = ("image_size", "fit", "resize", "interpolation", "grayscale", "border")
"""What decides, beside the augmentation, what a network sees of a picture."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """From where on something is a fault; the defaults are those of conf/check.yaml."""

    near_duplicates: bool = True
    min_pictures: int = 10
    max_imbalance: float = 10.0


@dataclass(frozen=True, kw_only=True)
class CheckSettings:
    """The image directories to be checked, and what counts as a fault."""

    train_data: Path | None
    valid_data: Path | None
    data: Path | None
    output: Path | None
    strict: bool
    near_duplicates: bool
    min_pictures: Annotated[int, AtLeast(1)]
    max_imbalance: Annotated[float, AtLeast(1)]
    overwrite: bool
    preview: bool
    image_size: Auto | Annotated[int, AtLeast(1)]
    fit: Auto | Fit
    resize: Auto | Annotated[int, AtLeast(1)]
    interpolation: Auto | Interpolation
    grayscale: Auto | bool
    border: Auto | Annotated[int, AtLeast(0)]
    transforms: Path | None
    augmentation: AugmentationSettings
    loading: LoadingSettings

    def __post_init__(self) -> None:
        given = [name for name in ("train_data", "valid_data", "data") if getattr(self, name) is not None]
        if not given or ("data" in given and len(given) > 1):
            raise SettingsError(
                "what is to be checked is not clear",
                where=" ".join(f"{name}={getattr(self, name)}" for name in given) or "no directory is given",
                accepted="train_data= and valid_data= together, either of them, or data=",
                remedy="discerna check train_data=data/train valid_data=data/valid",
            )
        if self.train_data is not None and self.train_data == self.valid_data:
            raise SettingsError(
                "training and validation data are the same directory",
                where=f"train_data=valid_data={self.train_data}",
                accepted="two directories with different pictures",
                remedy="use data= to check one directory",
            )

    def directories(self) -> dict[str, Path]:
        """The directories that were given, by the setting's name."""
        named = {"train_data": self.train_data, "valid_data": self.valid_data, "data": self.data}
        return {name: path for name, path in named.items() if path is not None}

    @property
    def limits(self) -> Limits:
        """From where on something is a fault."""
        return Limits(
            near_duplicates=self.near_duplicates,
            min_pictures=self.min_pictures,
            max_imbalance=self.max_imbalance,
        )

    def seen(self) -> dict[str, Any]:
        """What decides, beside the augmentation, what a network sees of a picture."""
        return {name: getattr(self, name) for name in SEEN}
