"""The settings of `discerna env`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from discerna.settings.loading import LoadingSettings
from discerna.settings.trainer import TrainerSettings


@dataclass(frozen=True, kw_only=True)
class EnvSettings:
    """How this machine is described, and for which training."""

    format: Literal["text", "json"]
    trainer: TrainerSettings
    loading: LoadingSettings
