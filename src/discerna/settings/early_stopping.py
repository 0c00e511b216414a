"""The group `early_stopping`: when a run ends before its last epoch.

Lightning's `patience` is the setting `patience`, its `monitor` the setting `monitor`; `mode` follows from the
monitor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from discerna.settings.ranges import AtLeast


@dataclass(frozen=True, kw_only=True)
class EarlyStoppingSettings:
    """Lightning's EarlyStopping, and the rule by which epochs are compared."""

    name: Literal["patience"]
    rule: Literal["best", "consecutive"]
    cooldown: Annotated[int, AtLeast(0)]
    min_delta: Annotated[float, AtLeast(0)]
    verbose: bool
    strict: bool
    check_finite: bool
    stopping_threshold: float | None
    divergence_threshold: float | None
    check_on_train_epoch_end: bool | None
    log_rank_zero_only: bool


@dataclass(frozen=True, kw_only=True)
class NoEarlyStoppingSettings:
    """Every epoch is trained."""

    name: Literal["none"]


StoppingSettings = EarlyStoppingSettings | NoEarlyStoppingSettings

ELSEWHERE = {"monitor": "monitor", "patience": "patience", "mode": "follows from monitor"}
"""Arguments of Lightning's EarlyStopping that are no settings of this group, and where they are."""
