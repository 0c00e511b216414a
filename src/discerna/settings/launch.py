"""The group `launch`: how the processes of a training are started and watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from discerna.settings.ranges import AtLeast


@dataclass(frozen=True, kw_only=True)
class LaunchSettings:
    """What happens when a process dies or hangs, and who starts them."""

    start: bool
    max_restarts: Annotated[int, AtLeast(0)]
    hang_timeout: Annotated[float, AtLeast(0.05)]
