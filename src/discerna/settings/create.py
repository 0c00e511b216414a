"""The settings of `discerna create`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from discerna.settings.networks import NetworksSettings
from discerna.settings.preprocessing import Fit, Interpolation
from discerna.settings.ranges import AtLeast


@dataclass(frozen=True, kw_only=True)
class CreateSettings:
    """What makes an untrained model directory; null means the network's own value."""

    network: str
    output: Path
    pretrained: bool | str
    arguments: dict[str, Any]
    random_seed: int | None
    image_size: Annotated[int, AtLeast(1)] | None
    fit: Fit | None
    resize: Annotated[int, AtLeast(1)] | None
    interpolation: Interpolation | None
    mean: list[float] | None
    std: list[float] | None
    grayscale: bool
    border: Annotated[int, AtLeast(0)]
    overwrite: bool
    networks: NetworksSettings
