"""`discerna registry delete`: a version at which no alias points is removed, or an alias."""

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
    """The version that was, or the alias that no longer points at it."""

    version: Version
    alias: str | None

    def summary(self) -> str:
        """For people."""
        if self.alias is not None:
            return f"{self.version.name}@{self.alias} is deleted; {self.version} stays"
        return f"{self.version} is deleted; its number is not used again"


def run(settings: RegistryDeleteSettings, progress: Progress = SILENT) -> RegistryDeleteResult:
    """Remove it."""
    reference = Reference.parse(settings.model)
    if reference.number is None and reference.alias is None:  # the newest may be another when it is deleted
        raise RegistryError(
            "a version is deleted by its number",
            where=f"model={settings.model}",
            accepted="NAME:3, or NAME@ALIAS for the alias alone",
            remedy=f"see discerna registry list {reference.name}",
        )
    registry = open_registry(settings.registry)
    version = registry.find(reference)
    if reference.alias is not None:
        registry.delete_alias(version.name, reference.alias)
    else:
        registry.delete(version)
    return RegistryDeleteResult(version, reference.alias)
