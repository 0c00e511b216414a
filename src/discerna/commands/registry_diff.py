"""`discerna registry diff`: in what two versions differ."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from discerna.progress import SILENT, Progress
from discerna.registry.description import differences
from discerna.registry.references import Reference
from discerna.registry.registry import open_registry
from discerna.registry.version import Version
from discerna.settings.registry import RegistryDiffSettings
from discerna.wording import align, shown


@dataclass(frozen=True)
class RegistryDiffResult:
    """Two versions, and each value in which they differ."""

    one: Version
    other: Version
    differences: dict[str, tuple[Any, Any]]
    format: str

    def summary(self) -> str:
        """As a table, or as JSON."""
        if self.format == "json":
            told = {key: list(values) for key, values in self.differences.items()}
            return json.dumps({"versions": [str(self.one), str(self.other)], "differences": told}, indent=2)
        rows = [["", str(self.one), str(self.other)]]
        rows += [[key, *map(_cell, values)] for key, values in self.differences.items()]
        return align(rows) if self.differences else f"{self.one} and {self.other} are the same model"


def run(settings: RegistryDiffSettings, progress: Progress = SILENT) -> RegistryDiffResult:
    """Look both up, and compare models and lineage."""
    registry = open_registry(settings.registry)
    one, other = (registry.find(Reference.parse(text)) for text in settings.models)
    found = differences((one, registry.fetch(one)), (other, registry.fetch(other)))
    return RegistryDiffResult(one, other, found, settings.format)


def _cell(value: Any) -> str:
    text = "-" if value is None else f"{value:.6g}" if isinstance(value, float) else shown(str(value))
    return text if len(text) <= 48 else f"{text[:45]}..."
