"""How pictures are read, in every verb that reads pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from discerna.settings.ranges import AtLeast, Between


@dataclass(frozen=True, kw_only=True)
class LoadingSettings:
    """The group `loading`."""

    workers: Literal["auto"] | Annotated[int, AtLeast(0)]
    nested: bool


@dataclass(frozen=True, kw_only=True)
class TrainLoadingSettings(LoadingSettings):
    """And what to do about pictures that cannot be read, for a training."""

    on_bad: Literal["skip", "error"]
    max_bad: Annotated[float, Between(0, 1)]
    cache: Literal["auto", "off"] | Path
    cache_gib: Literal["auto"] | Annotated[float, AtLeast(0.01)]
