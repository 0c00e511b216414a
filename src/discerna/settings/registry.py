"""The settings of `discerna register` and `discerna registry ...`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from discerna.errors import SettingsError
from discerna.settings.loading import LoadingSettings
from discerna.settings.networks import NetworksSettings
from discerna.settings.ranges import AtLeast, ModelReference, Verbatim
from discerna.settings.score import Device, Place

Named = Annotated[str, Verbatim("NAME, NAME:3 or NAME@ALIAS")]
Figure = Literal["accuracy", "balanced_accuracy", "loss", "top5"]


@dataclass(frozen=True, kw_only=True)
class RegisterSettings:
    """Which model, under which name, and whether an alias is to point at it."""

    model: Annotated[Path, ModelReference(names=False)]
    name: Annotated[str, Verbatim("a name")]
    alias: Annotated[str, Verbatim("an alias")] | None
    better_on: Path | None
    metric: Figure
    margin: Annotated[float, AtLeast(0)]
    note: Annotated[str, Verbatim("a text")]
    registry: Place | None
    device: Device
    batch_size: Annotated[int, AtLeast(1)]
    loading: LoadingSettings
    networks: NetworksSettings

    def __post_init__(self) -> None:
        if self.better_on is not None and self.alias is None:
            raise SettingsError(
                "a setting without effect",
                where="better_on",
                accepted="it decides whether an alias moves",
                remedy="add alias=NAME, or leave it out",
            )


@dataclass(frozen=True, kw_only=True)
class RegistryPromoteSettings:
    """Which version, which alias, and on what it must be better."""

    model: Named
    alias: Annotated[str, Verbatim("an alias")]
    better_on: Path | None
    metric: Figure
    margin: Annotated[float, AtLeast(0)]
    registry: Place | None
    device: Device
    batch_size: Annotated[int, AtLeast(1)]
    loading: LoadingSettings
    networks: NetworksSettings


@dataclass(frozen=True, kw_only=True)
class RegistryListSettings:
    """Of which model; None: of all, in a line each."""

    name: Annotated[str, Verbatim("a name")] | None
    registry: Place | None
    format: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class RegistryShowSettings:
    """Which version."""

    model: Named
    registry: Place | None
    format: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class RegistryDiffSettings:
    """Which two versions."""

    models: list[Named]
    registry: Place | None
    format: Literal["text", "json"]

    def __post_init__(self) -> None:
        if len(self.models) != 2:
            raise SettingsError(
                "a diff needs two versions",
                where=f"models={self.models}",
                remedy="discerna registry diff NAME:1 NAME:2",
            )


@dataclass(frozen=True, kw_only=True)
class RegistryDownloadSettings:
    """Which version, and where its copy goes."""

    model: Named
    output: Path
    registry: Place | None
    overwrite: bool


@dataclass(frozen=True, kw_only=True)
class RegistryDeleteSettings:
    """Which version."""

    model: Named
    registry: Place | None
