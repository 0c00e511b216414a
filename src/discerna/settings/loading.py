"""How pictures are read, in every verb that reads pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from discerna.settings.ranges import AtLeast


@dataclass(frozen=True, kw_only=True)
class LoadingSettings:
    """The group `loading`."""

    workers: Literal["auto"] | Annotated[int, AtLeast(0)]
