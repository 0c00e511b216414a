"""The group `logger`: where metrics go, and a user's own loggers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from discerna.settings.ranges import Verbatim


@dataclass(frozen=True, kw_only=True)
class CsvLoggerSettings:
    """`metrics_file` is metrics.csv in the run folder; `own` holds loggers by `_target_`."""

    name: Literal["csv", "none"] = "csv"
    metrics_file: bool
    own: dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class MlflowLoggerSettings:
    """A run of MLflow for each training."""

    name: Literal["mlflow"]
    metrics_file: bool
    own: dict[str, dict[str, Any]]
    tracking_uri: Annotated[str, Verbatim("the address of a server or a database")] | None
    model: bool
    parent: Annotated[str, Verbatim("the number of a run of MLflow")] | None


@dataclass(frozen=True, kw_only=True)
class TensorBoardLoggerSettings:
    """Files for TensorBoard in the run folder."""

    name: Literal["tensorboard"]
    metrics_file: bool
    own: dict[str, dict[str, Any]]
    pictures: bool


LoggerSettings = CsvLoggerSettings | MlflowLoggerSettings | TensorBoardLoggerSettings
