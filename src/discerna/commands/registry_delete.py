"""`discerna registry delete`: a version at which no alias points is removed."""

from __future__ import annotations

from dataclasses import dataclass

from discerna.errors import RegistryError
from discerna.progress import SILENT, Progress
from discerna.registry.references import Reference
from discerna.registry.registry import open_registry
from discerna.registry.version import Version
from discerna.settings.registry import RegistryDeleteSettings


@dataclass(frozen=True)
class RegistryDeleteResult:
    """The version that was."""

    version: Version

    def summary(self) -> str:
        """For people."""
        return f"{self.version} is deleted; its number is not used again"


def run(settings: RegistryDeleteSettings, progress: Progress = SILENT) -> RegistryDeleteResult:
    """Remove it."""
    reference = Reference.parse(settings.model)
    if reference.number is None:  # what an alias or `the newest` means may change while it is typed
        raise RegistryError(
            "a version is deleted by its number",
            where=f"model={settings.model}",
            remedy=f"write {reference.name}:NUMBER; see discerna registry list {reference.name}",
        )
    registry = open_registry(settings.registry)
    version = registry.find(reference)
    registry.delete(version)
    return RegistryDeleteResult(version)
