"""The settings of `discerna create`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from discerna.errors import SettingsError
from discerna.settings.networks import NetworksSettings
from discerna.settings.preprocessing import Fit, Interpolation
from discerna.settings.ranges import AtLeast
from discerna.wording import shown


@dataclass(frozen=True, kw_only=True)
class CreateSettings:
    """What makes a model directory; null means the network's own value."""

    network: str | None
    from_: Path | None
    """A model directory of the Azure ML designer's, in the place of `network`."""
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

    def __post_init__(self) -> None:
        if self.network is None and self.from_ is None:
            raise SettingsError(
                "a setting is missing",
                where="network",
                accepted="it is a network's name; from= takes a model directory of the Azure ML designer instead",
                remedy="pass network=VALUE or from=DIR",
            )
        if self.from_ is None:
            return
        where = f"from={shown(str(self.from_))}"
        if self.network is not None:
            raise SettingsError(
                "two settings that exclude one another",
                where=f"network={shown(self.network)} {where}",
                accepted="the old directory names its network itself",
                remedy="leave out one of the two",
            )
        idle = "pretrained" if self.pretrained is not False else "arguments" if self.arguments else None
        if idle:
            raise SettingsError(
                "a setting without effect with from=",
                where=idle,
                accepted="an old model directory has its weights and arguments already",
                remedy="leave it out",
            )
