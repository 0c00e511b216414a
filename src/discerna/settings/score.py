"""The settings of `discerna score` and `discerna evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from discerna.settings.devices import Devices, refuse_numbers_of_cpus
from discerna.settings.loading import LoadingSettings
from discerna.settings.networks import NetworksSettings
from discerna.settings.ranges import AtLeast, ModelReference, Verbatim

Device = Literal["auto", "cpu", "cuda", "mps"]
Views = Literal["one", "flip", "crops"]
Place = Annotated[str, Verbatim("a folder, mlflow, or the address of an MLflow store")]
"""Of a registry."""
Format = Literal["discerna", "azure"]


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """A model, pictures, and where the scores go."""

    model: Annotated[Path, ModelReference(names=False)]
    registry: Place | None
    data: Path | list[Path]
    output: Path | None
    format: Format
    batch_size: Annotated[int, AtLeast(1)]
    views: Views
    device: Device
    devices: Devices
    overwrite: bool
    loading: LoadingSettings
    networks: NetworksSettings

    def __post_init__(self) -> None:
        refuse_numbers_of_cpus(self.devices, self.device, "devices")


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """A model, a labelled image directory, and where the figures go."""

    model: Annotated[Path, ModelReference(names=False)]
    registry: Place | None
    data: Path
    output: Path | None
    batch_size: Annotated[int, AtLeast(1)]
    views: Views
    device: Device
    devices: Devices
    overwrite: bool
    loading: LoadingSettings
    networks: NetworksSettings

    def __post_init__(self) -> None:
        refuse_numbers_of_cpus(self.devices, self.device, "devices")
