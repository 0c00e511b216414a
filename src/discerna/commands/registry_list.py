"""`discerna registry list`: the registered models, or the versions of one."""

from __future__ import annotations

import json
from dataclasses import dataclass

from discerna.progress import SILENT, Progress
from discerna.registry.lookup import no_such_name
from discerna.registry.references import Reference
from discerna.registry.registry import open_registry
from discerna.registry.version import Version
from discerna.settings.registry import RegistryListSettings
from discerna.wording import align, shown


@dataclass(frozen=True)
class RegistryListResult:
    """The newest version of each model, or all versions of one."""

    versions: list[Version]
    place: str
    format: str

    def summary(self) -> str:
        """As a table, or as JSON."""
        if self.format == "json":
            return json.dumps([version.as_json() for version in self.versions], indent=2)
        if not self.versions:
            return f"no models in {self.place}"
        rows = [["version", "aliases", "network", "labels", "accuracy", "registered", "note"]]
        for version in self.versions:
            accuracy = version.lineage.figures.get("accuracy")
            rows.append(
                [
                    str(version),
                    ", ".join(version.aliases) or "-",
                    shown(version.network),
                    str(version.labels),
                    "-" if accuracy is None else f"{accuracy:.2%}",
                    shown(version.registered[:16].replace("T", " ")),
                    shown(version.note),
                ]
            )
        return align(rows, "<<<>><<")


def run(settings: RegistryListSettings, progress: Progress = SILENT) -> RegistryListResult:
    """Look them up."""
    registry = open_registry(settings.registry)
    if settings.name is None:
        found = [registry.versions(name)[-1] for name in registry.names()]
    else:
        found = registry.versions(settings.name)
        if not found:
            raise no_such_name(Reference(settings.name), registry.names(), registry.place)
    return RegistryListResult(found, registry.place, settings.format)
