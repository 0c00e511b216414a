"""The settings of `discerna convert`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Link = Literal["auto", "hard", "copy"]


@dataclass(frozen=True, kw_only=True)
class ConvertSettings:
    """An archive or a directory, and where the labelled directory goes."""

    input: Path
    output: Path
    link: Link
    overwrite: bool
