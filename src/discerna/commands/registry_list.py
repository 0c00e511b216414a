"""`discerna registry list`: the registered models, or the versions of one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from discerna.progress import SILENT, Progress
from discerna.registry.lookup import no_such_name
from discerna.registry.references import Reference
from discerna.registry.registry import open_registry
from discerna.registry.version import Version
from discerna.settings.registry import RegistryListSettings
from discerna.wording import align, shown


@dataclass(frozen=True)
class RegistryListResult:
    """All models with their versions, or the versions of one."""

    models: dict[str, list[Version]]
    name: str | None
    """The one that was asked for."""
    place: str
    format: str

    def summary(self) -> str:
        """As a table, or as JSON."""
        if self.format == "json":
            return json.dumps(self._as_json(), indent=2)
        if not self.models:
            return f"no models in {self.place}"
        return self._versions() if self.name else self._models()

    def _versions(self) -> str:
        rows = [["version", "aliases", "network", "labels", "accuracy", "registered", "note"]]
        for version in self.models[self.name or ""]:
            told = [
                str(version),
                ", ".join(version.aliases) or "-",
                shown(version.network),
                str(version.labels),
            ]
            rows.append([*told, _accuracy(version), _when(version), shown(version.note)])
        return align(rows, "<<<>><<")

    def _models(self) -> str:
        rows = [["model", "newest", "versions", "aliases", "network", "accuracy", "registered"]]
        for name, versions in self.models.items():
            newest = versions[-1]
            aliases = ", ".join(f"{alias}:{number}" for alias, number in _aliases(versions).items())
            told = [name, str(newest), str(len(versions)), aliases or "-", shown(newest.network)]
            rows.append([*told, _accuracy(newest), _when(newest)])
        return align(rows, "<<><<><") + "\naccuracy and date are those of the newest version"

    def _as_json(self) -> list[dict[str, Any]]:
        if self.name:
            return [version.as_json() for version in self.models[self.name]]
        return [
            {
                "name": name,
                "versions": len(versions),
                "aliases": _aliases(versions),
                "newest": versions[-1].as_json(),
            }
            for name, versions in self.models.items()
        ]


def run(settings: RegistryListSettings, progress: Progress = SILENT) -> RegistryListResult:
    """Look them up."""
    registry = open_registry(settings.registry)
    names = registry.names() if settings.name is None else [settings.name]
    found = {name: registry.versions(name) for name in names}
    if settings.name is not None and not found[settings.name]:
        raise no_such_name(Reference(settings.name), registry.names(), registry.place)
    return RegistryListResult(found, settings.name, registry.place, settings.format)


def _aliases(versions: list[Version]) -> dict[str, int]:
    return {alias: version.number for version in versions for alias in version.aliases}


def _accuracy(version: Version) -> str:
    found = version.lineage.figures.get("accuracy")
    return "-" if found is None else f"{found:.2%}"


def _when(version: Version) -> str:
    return shown(version.registered[:16].replace("T", " "))
