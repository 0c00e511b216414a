"""What every registry says of models that it does not have."""

from __future__ import annotations

from collections.abc import Sequence

from discerna.errors import RegistryError
from discerna.registry.references import Reference
from discerna.registry.version import Version
from discerna.settings.build import nearest

SHOWN = 10


def no_such_registry(place: str) -> RegistryError:
    """The folder is not there."""
    return RegistryError(
        "no such registry",
        where=place,
        accepted="there is no such folder here",
        remedy=nearest(place, ["mlflow"])
        or "give registry=DIR, or set DISCERNA_REGISTRY; discerna register makes one",
    )


def no_such_name(reference: Reference, names: Sequence[str], place: str) -> RegistryError:
    """No version bears the name."""
    return RegistryError(
        "no such registered model",
        where=f"{reference} in {place}",
        accepted=f"there are {_few(names)}" if names else "it holds none",
        remedy=nearest(reference.name, names) or f"discerna register model=DIR name={reference.name}",
    )


def no_such_version(reference: Reference, numbers: Sequence[int], place: str) -> RegistryError:
    """The name has no such number, or has it no more."""
    told = (
        f"{reference.name} has {_few([str(n) for n in numbers])}" if numbers else f"{reference.name} has none"
    )
    return RegistryError(
        "no such version", where=f"{reference} in {place}", accepted=told, remedy="see discerna registry list"
    )


def no_such_alias(reference: Reference, aliases: Sequence[str], place: str) -> RegistryError:
    """The name has no such alias."""
    told = f"{reference.name} has {_few(aliases)}" if aliases else f"{reference.name} has no version"
    return RegistryError(
        "no such alias",
        where=f"{reference} in {place}",
        accepted=told,
        remedy=nearest(reference.alias or "", aliases)
        or f"discerna registry promote {reference.name}:NUMBER alias={reference.alias}",
    )


def refuse_moved(alias: str, points_at: int | None, holder: Version | None) -> None:
    """Refuse where an alias no longer points at the version that a new one was measured against."""
    if points_at != (None if holder is None else holder.number):
        raise RegistryError(
            f"{alias} has moved while the models were measured",
            where=f"it points at version {points_at}",
            accepted=f"it was measured against {holder}" if holder else "it pointed at none",
            remedy="run the command again",
        )


def _few(words: Sequence[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[-SHOWN:]) + more
