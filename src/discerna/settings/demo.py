"""The settings of `discerna demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Where the demonstration's pictures go."""

    output: Path
    overwrite: bool
