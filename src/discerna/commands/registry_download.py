"""`discerna registry download`: a copy of a version as a model directory."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from discerna.directories.model_dir import ModelDirectory
from discerna.directories.publishing import publish, refuse_inside
from discerna.progress import SILENT, Progress
from discerna.registry.folder_registry import FolderRegistry
from discerna.registry.references import Reference
from discerna.registry.registry import open_registry
from discerna.registry.version import Version
from discerna.settings.registry import RegistryDownloadSettings
from discerna.wording import as_typed, shown


@dataclass(frozen=True)
class RegistryDownloadResult:
    """The version, and where its copy is."""

    version: Version
    output: Path

    def summary(self) -> str:
        """For people."""
        place = as_typed(self.output)
        return (
            f"{self.version} copied to {shown(place)}, {self.version.size:,} bytes\n"
            f"next  discerna score model={shlex.quote(place)} data=PICTURES output=scores.csv"
        )


def run(settings: RegistryDownloadSettings, progress: Progress = SILENT) -> RegistryDownloadResult:
    """Look it up, check it, copy it whole."""
    registry = open_registry(settings.registry)
    version = registry.find(Reference.parse(settings.model))
    found = registry.fetch(version)
    inputs = [found, registry.root] if isinstance(registry, FolderRegistry) else [found]
    refuse_inside(settings.output, inputs)

    def fill(folder: Path) -> None:
        for path in found.iterdir():
            shutil.copyfile(path, folder / path.name)

    publish(settings.output, fill, overwrite=settings.overwrite)
    ModelDirectory.open(settings.output, setting="output")  # the copy, too
    return RegistryDownloadResult(version, settings.output)
