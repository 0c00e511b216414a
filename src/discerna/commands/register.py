"""`discerna register`: a trained model becomes the next version of a name."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from discerna.directories.model_dir import ModelDirectory
from discerna.errors import RegistryError
from discerna.networks.assembly import trained_network
from discerna.networks.registration import import_user_modules
from discerna.progress import SILENT, Progress
from discerna.registry.folder_registry import FolderRegistry
from discerna.registry.lineage import lineage_of
from discerna.registry.references import check_alias, check_name
from discerna.registry.registry import open_registry
from discerna.registry.version import Version
from discerna.results.promotion import Contest, contest
from discerna.settings.registry import RegisterSettings


@dataclass(frozen=True)
class RegisterResult:
    """The version that was made, and whether an alias points at it."""

    version: Version
    place: str
    alias: str | None
    contest: Contest | None
    again: str
    """What a command that uses the model must be told too."""

    @property
    def promoted(self) -> bool:
        """Whether the alias points at the new version."""
        return self.alias is not None and (self.contest is None or self.contest.won)

    def summary(self) -> str:
        """The version's name first, for people and programs alike."""
        lines = [f"{self.version}"]
        if self.promoted and self.contest:
            lines.append(f"  {self.alias} points at it: {self.contest.told()}")
        elif self.promoted:
            lines.append(f"  {self.alias} points at it")
        by = f"{self.version.name}@{self.alias}" if self.promoted else str(self.version)
        use = f"model={shlex.quote(f'registry:{by}')}{self.again}"
        lines.append(f"next  discerna score {use} data=PICTURES output=scores.csv")
        return "\n".join(lines)

    def raise_failures(self) -> None:
        """An error where the alias stays where it was, so that a script stops."""
        if self.alias is not None and self.contest is not None and not self.promoted:
            raise RegistryError(
                f"{self.alias} stays where it is",
                where=str(self.version),
                accepted=f"{self.contest.told()}: not better",
                remedy=f"to move it all the same: discerna registry promote {self.version} alias={self.alias}",
            )


def run(settings: RegisterSettings, progress: Progress = SILENT) -> RegisterResult:
    """Check the model, keep it, and move the alias if it may move."""
    check_name(settings.name)
    if settings.alias is not None:
        check_alias(settings.alias)
    import_user_modules(settings.networks.modules)
    model = ModelDirectory.open(settings.model)
    trained_network(model)  # what is kept can be used: its tensors fit, and are numbers
    registry = open_registry(settings.registry)
    before, held = None, None
    if settings.better_on is not None:
        bears = [version for version in registry.versions(settings.name) if settings.alias in version.aliases]
        before = bears[0] if bears else None
        old = ModelDirectory.open(registry.fetch(before)) if before else None
        held = contest(model, old, settings, progress)
    root = registry.root / settings.name if isinstance(registry, FolderRegistry) else None
    version = registry.publish(settings.name, model, lineage_of(model, root), settings.note)
    again = f" registry={shlex.quote(settings.registry)}" if settings.registry else ""
    if settings.networks.modules:
        again += f" networks.modules=[{','.join(settings.networks.modules)}]"
    result = RegisterResult(version, registry.place, settings.alias, held, again)
    if settings.alias is not None and result.promoted:
        if held is None:
            registry.set_alias(version, settings.alias, {})
        else:
            registry.set_alias(version, settings.alias, held.as_json(), before)
    return result
