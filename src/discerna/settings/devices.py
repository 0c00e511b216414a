"""How many processes work together, one a device: `trainer.devices`, and `devices` where models score."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from discerna.errors import SettingsError
from discerna.settings.ranges import AtLeast

Devices: TypeAlias = Annotated[int, AtLeast(1)] | Literal["auto"] | list[Annotated[int, AtLeast(0)]]
"""A number of processes, `auto` for all GPUs, or the numbers of GPUs."""


def refuse_numbers_of_cpus(devices: Devices, device: str, setting: str) -> None:
    """Refuse numbers of GPUs where the user has asked for the CPU."""
    if device == "cpu" and isinstance(devices, list):
        raise SettingsError(
            "CPUs have no numbers",
            where=f"{setting}={devices}",
            accepted="a number of processes",
            remedy=f"use {setting}={max(1, len(devices))}",
        )
