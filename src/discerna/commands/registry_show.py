"""`discerna registry show`: all about a version, and where it comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass

from discerna.progress import SILENT, Progress
from discerna.registry.description import describe
from discerna.registry.references import Reference
from discerna.registry.registry import open_registry
from discerna.registry.version import Version
from discerna.settings.registry import RegistryShowSettings


@dataclass(frozen=True)
class RegistryShowResult:
    """The version."""

    version: Version
    format: str

    def summary(self) -> str:
        """For people, or as JSON."""
        if self.format == "json":
            return json.dumps(self.version.as_json(), indent=2)
        return describe(self.version)


def run(settings: RegistryShowSettings, progress: Progress = SILENT) -> RegistryShowResult:
    """Look it up."""
    registry = open_registry(settings.registry)
    return RegistryShowResult(registry.find(Reference.parse(settings.model)), settings.format)
