"""The settings of `discerna env` and `discerna demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class EnvSettings:
    """How the description of this machine is printed."""

    format: Literal["text", "json"]


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Where the demonstration's pictures go."""

    output: Path
    overwrite: bool
