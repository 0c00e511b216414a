"""`discerna registry promote`: an alias is let point at a version."""

from __future__ import annotations

from dataclasses import dataclass

from discerna.directories.model_dir import ModelDirectory
from discerna.errors import RegistryError
from discerna.networks.registration import import_user_modules
from discerna.progress import SILENT, Progress
from discerna.registry.references import Reference, check_alias
from discerna.registry.registry import open_registry
from discerna.registry.version import Version
from discerna.results.promotion import Contest, contest
from discerna.settings.registry import RegistryPromoteSettings


@dataclass(frozen=True)
class RegistryPromoteResult:
    """Where the alias points now, and where it pointed."""

    version: Version
    alias: str
    before: Version | None
    contest: Contest | None

    def summary(self) -> str:
        """For people."""
        was = f", before at {self.before}" if self.before else ""
        told = f": {self.contest.told()}" if self.contest else ""
        return f"{self.version.name}@{self.alias} points at {self.version}{was}{told}"


def run(settings: RegistryPromoteSettings, progress: Progress = SILENT) -> RegistryPromoteResult:
    """Move the alias, if it may move."""
    check_alias(settings.alias)
    import_user_modules(settings.networks.modules)
    registry = open_registry(settings.registry)
    version = registry.find(Reference.parse(settings.model))
    bears = [one for one in registry.versions(version.name) if settings.alias in one.aliases]
    before = bears[0] if bears else None
    held = None
    if settings.better_on is not None and before != version:
        old = ModelDirectory.open(registry.fetch(before)) if before else None
        held = contest(ModelDirectory.open(registry.fetch(version)), old, settings, progress)
        if not held.won:
            raise RegistryError(
                f"{settings.alias} stays at {before}",
                where=str(version),
                accepted=f"{held.told()}: not better",
                remedy="leave out better_on to move it all the same",
            )
    if held is None:
        registry.set_alias(version, settings.alias, {})
    else:
        registry.set_alias(version, settings.alias, held.as_json(), before)
    return RegistryPromoteResult(version, settings.alias, before, held)
