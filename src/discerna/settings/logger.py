"""The groups `logger` and `callbacks`: where metrics go, and a user's own objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class LoggerSettings:
    """`metrics_file` is metrics.csv in the run folder; `own` holds loggers by `_target_`."""

    metrics_file: bool
    own: dict[str, dict[str, Any]]
