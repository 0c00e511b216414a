"""The group `checkpoint`: how often a training is kept, so that it can go on after whatever ends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from discerna.settings.ranges import AtLeast


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """When a checkpoint is written, and how many are kept."""

    every_steps: Annotated[int, AtLeast(1)] | None
    every_minutes: Literal["auto"] | Annotated[float, AtLeast(0)] | None
    keep: Annotated[int, AtLeast(1)]
