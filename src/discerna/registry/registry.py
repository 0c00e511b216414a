"""The registry that a setting names, whichever it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, Protocol

from discerna.directories.model_dir import ModelDirectory
from discerna.registry.references import Reference
from discerna.registry.version import Lineage, Version

VARIABLE = "DISCERNA_REGISTRY"
DEFAULT = "registry"
MLFLOW = "mlflow"


class Registry(Protocol):
    """Keeps models under names."""

    place: str
    """How messages name it."""

    def publish(self, name: str, model: ModelDirectory, lineage: Lineage, note: str) -> Version:
        """Keep a copy of the model as the next version of `name`."""

    def names(self) -> list[str]:
        """The names that have a version."""

    def versions(self, name: str) -> list[Version]:
        """The versions of a model, the oldest first."""

    def find(self, reference: Reference) -> Version:
        """The version that is meant; RegistryError where there is none."""

    def fetch(self, version: Version) -> Path:
        """The model directory of a version, its files checked against their SHA-256."""

    def set_alias(
        self,
        version: Version,
        alias: str,
        told: dict[str, Any],
        holder: Version | Literal["any"] | None = "any",
    ) -> None:
        """Let an alias point at the version; `told` is kept with it. Refused where `holder` no longer has it."""

    def delete_alias(self, name: str, alias: str) -> None:
        """Let an alias point nowhere any more."""

    def delete(self, version: Version) -> None:
        """Remove a version at which no alias points; its number is never used again."""


def open_registry(where: str | None) -> Registry:
    """A folder, or MLflow's: what is given, else what the environment says, else ./registry."""
    where = where or os.environ.get(VARIABLE) or DEFAULT
    if where == MLFLOW or "://" in where:
        from discerna.registry.mlflow_registry import MlflowRegistry

        return MlflowRegistry(None if where == MLFLOW else where)
    from discerna.registry.folder_registry import FolderRegistry
    from discerna.settings.build import absolute

    return FolderRegistry(absolute(where))
