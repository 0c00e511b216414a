"""The settings of the commands `discerna runs ...`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from discerna.errors import SettingsError
from discerna.settings.ranges import AtLeast, Verbatim

Format = Literal["text", "json"]
Conditions = Annotated[str, Verbatim("conditions such as accuracy>0.9,optimizer=sgd")]
Key = Annotated[str, Verbatim("a value of a run, or a setting of train")]


@dataclass(frozen=True, kw_only=True)
class RunsListSettings:
    """Which runs, in which order."""

    folder: Path
    where: Conditions | None
    sort: Key
    columns: list[Key]
    limit: Annotated[int, AtLeast(1)] | None
    format: Format


@dataclass(frozen=True, kw_only=True)
class RunsBestSettings:
    """Among which runs, and by which figure."""

    folder: Path
    where: Conditions | None
    metric: Key
    format: Literal["text", "json", "path"]


@dataclass(frozen=True, kw_only=True)
class RunsShowSettings:
    """Which run."""

    run: Path
    folder: Path
    format: Format


@dataclass(frozen=True, kw_only=True)
class RunsLogsSettings:
    """Which run, and whether to wait for more."""

    run: Path
    folder: Path
    follow: bool


@dataclass(frozen=True, kw_only=True)
class RunsFilesSettings:
    """Which run."""

    run: Path
    folder: Path
    format: Format


@dataclass(frozen=True, kw_only=True)
class RunsDownloadSettings:
    """Which run, which of its files, and where to."""

    run: Path
    output: Path
    files: list[Annotated[str, Verbatim("a name from discerna runs files")]]
    folder: Path
    overwrite: bool


@dataclass(frozen=True, kw_only=True)
class RunsCompareSettings:
    """Which runs."""

    runs: list[Path]
    folder: Path
    format: Format

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise SettingsError(
                "nothing to compare",
                where="runs",
                accepted="two runs or more",
                remedy="discerna runs compare A B",
            )
