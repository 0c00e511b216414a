"""A registry of plain files: NAME/versions/3/{version.json, NAME-3/}, NAME/aliases.json.

Readers take no lock. A version appears by one rename onto a number that nobody has, so that any number of
publishers get different ones; it never changes, and a deleted one leaves its number behind.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from discerna.directories import model_files as files
from discerna.directories.file_lock import FileLock
from discerna.directories.model_dir import ModelDirectory
from discerna.directories.model_files import Fault
from discerna.directories.plain_reading import read_object, read_plain
from discerna.directories.run_folder import write_json
from discerna.directories.run_status import now
from discerna.directories.write_aside import hidden_sibling, put, sync_folder, write_failures
from discerna.errors import InvalidModelDirectoryError, RegistryError
from discerna.registry.lookup import (
    no_such_alias,
    no_such_name,
    no_such_registry,
    no_such_version,
    refuse_moved,
)
from discerna.registry.references import NEWEST, Reference, check_name, is_name
from discerna.registry.version import Lineage, Version
from discerna.wording import as_typed, shown

VERSION, ALIASES, LOCK = "version.json", "aliases.json", ".lock"


class FolderRegistry:
    """Models in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = shown(as_typed(root))

    def publish(self, name: str, model: ModelDirectory, lineage: Lineage, note: str) -> Version:
        """Copy the model aside, then let it appear as the next version."""
        check_name(name)
        versions = self.root / name / "versions"
        with write_failures(f"registry={self.place}"):
            versions.mkdir(parents=True, exist_ok=True)
            whole = hidden_sibling(versions / "new")
            try:
                shutil.copytree(model.path, whole / "copy")
                # The copy is what counts: what changed under our hands is noticed here.
                copied = ModelDirectory.open(whole / "copy")
                for path in copied.path.iterdir():
                    _sync(path)
                sync_folder(copied.path)
                return self._appear(whole, name, copied, lineage, note)
            finally:
                shutil.rmtree(whole, ignore_errors=True)

    def _appear(self, whole: Path, name: str, model: ModelDirectory, lineage: Lineage, note: str) -> Version:
        versions, place = self.root / name / "versions", model.path
        digest = files.file_digest(place / files.MANIFEST)
        size = sum(path.stat().st_size for path in place.iterdir())
        number = max(self._numbers(name), default=0)
        while True:
            number += 1
            version = Version(
                name=name,
                number=number,
                registered=now(),
                sha256=digest,
                size=size,
                network=model.spec.network,
                labels=len(model.spec.labels),
                note=note,
                lineage=lineage,
            )
            place = place.rename(whole / version.folder)
            write_json(whole / VERSION, version.checked().kept())
            _sync(whole / VERSION)
            sync_folder(whole)
            try:
                os.rename(whole, versions / str(number))  # noqa: PTH104 - a name that tests can watch
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                continue  # another publisher has this number
            sync_folder(versions)
            return version

    def names(self) -> list[str]:
        """Those of the folders that hold a version."""
        found = _listdir(self.root)
        return sorted(name for name in found if is_name(name) and self.versions(name))

    def versions(self, name: str) -> list[Version]:
        """All that are not deleted."""
        aliases = self._aliases(name)
        found = (self._read(name, number, aliases) for number in self._numbers(name))
        return [version for version in found if version is not None]

    def find(self, reference: Reference) -> Version:
        """Look up a number, an alias, or the newest."""
        name, number = reference.name, reference.number
        if not self.root.is_dir():
            raise no_such_registry(self.place)
        aliases = self._aliases(name)
        if reference.alias is not None:
            if reference.alias not in aliases:
                raise no_such_alias(reference, [*aliases, NEWEST] if self._numbers(name) else [], self.place)
            number = aliases[reference.alias]
        if number is not None:
            found = self._read(name, number, aliases)
            if found is None:
                raise no_such_version(reference, [v.number for v in self.versions(name)], self.place)
            return found
        for newest in reversed(self._numbers(name)):
            found = self._read(name, newest, aliases)
            if found is not None:
                return found
        raise no_such_name(reference, self.names(), self.place)

    def fetch(self, version: Version) -> Path:
        """The folder itself: nothing is copied."""
        path = self._folder(version.name, version.number) / version.folder
        try:
            if path.is_symlink() or path.parent.is_symlink():
                raise files.altered("it is a link")
            if files.file_digest(path / files.MANIFEST) != version.sha256:
                raise files.altered(f"{files.MANIFEST} is not the one that was registered")
        except (Fault, OSError) as error:
            told = error.found if isinstance(error, Fault) else error.strerror or str(error)
            raise InvalidModelDirectoryError(
                "a registered model was altered or damaged",
                where=f"{version} in {self.place}",
                accepted=told,
                remedy="use another version, or register the model again",
            ) from None
        ModelDirectory.open(path)  # the other files, against the manifest
        return path

    def set_alias(
        self,
        version: Version,
        alias: str,
        told: dict[str, Any],
        holder: Version | Literal["any"] | None = "any",
    ) -> None:
        """One file for the aliases of a model, replaced at once."""
        with self._changing(version.name):
            if self._read(version.name, version.number, {}) is None:
                left = [one.number for one in self.versions(version.name)]
                raise no_such_version(Reference(version.name, version.number), left, self.place)
            if holder != "any":
                refuse_moved(alias, self._aliases(version.name).get(alias), holder)
            file = self.root / version.name / ALIASES
            known = _object(file)
            write_json(file, {**known, alias: {"version": version.number, "since": now(), **told}})

    def delete(self, version: Version) -> None:
        """Put a stone in its place, which keeps the number."""
        with self._changing(version.name):
            pointing = [alias for alias, n in self._aliases(version.name).items() if n == version.number]
            if pointing:
                raise RegistryError(
                    "an alias points at the version",
                    where=str(version),
                    accepted=", ".join(pointing),
                    remedy=f"first let it point elsewhere, or discerna registry delete {version.name}@{pointing[0]}",
                )
            place = self._folder(version.name, version.number)
            whole = hidden_sibling(place)
            try:
                whole.mkdir()
                write_json(
                    whole / VERSION, {"name": version.name, "number": version.number, "deleted": now()}
                )
                put(whole, place, overwrite=True)
            finally:
                shutil.rmtree(whole, ignore_errors=True)

    def delete_alias(self, name: str, alias: str) -> None:
        """Forget where it points."""
        with self._changing(name):
            file = self.root / name / ALIASES
            write_json(file, {known: told for known, told in _object(file).items() if known != alias})

    def _folder(self, name: str, number: int) -> Path:
        return self.root / name / "versions" / str(number)

    def _numbers(self, name: str) -> list[int]:
        """All that were ever given, deleted ones too."""
        check_name(name)
        found = _listdir(self.root / name / "versions")
        return sorted(int(n) for n in found if n.isascii() and n.isdigit() and not n.startswith("0"))

    def _read(self, name: str, number: int, aliases: dict[str, int]) -> Version | None:
        """A version; None where there is none, or a deleted one."""
        file = self._folder(name, number) / VERSION
        try:
            kept = files.parse_object(read_plain(file, files.JSON_LIMIT), VERSION)
            if "deleted" in kept:
                return None
            version = Version.read(kept, [alias for alias, n in aliases.items() if n == number])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (Fault, OSError, ValueError) as error:
            told = error.found if isinstance(error, Fault) else str(error)
            raise RegistryError(
                "a version cannot be read",
                where=f"{name}:{number} in {self.place}",
                accepted=" ".join(told.split()),
                remedy=f"restore {shown(as_typed(file))}, or move its folder away",
            ) from None
        if (version.name, version.number) != (name, number):
            raise RegistryError(
                "a version tells of another",
                where=f"{name}:{number} in {self.place}",
                accepted=f"{VERSION} says {version}",
                remedy="move its folder away",
            )
        return version

    def _aliases(self, name: str) -> dict[str, int]:
        check_name(name)
        found = _object(self.root / name / ALIASES)
        numbers = {a: told.get("version") for a, told in found.items() if isinstance(told, dict)}
        return {alias: number for alias, number in numbers.items() if type(number) is int}

    @contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        """Alone while an alias is set or a version deleted."""
        with write_failures(f"registry={self.place}"):
            door = self.root / name / LOCK
            door.touch()
            lock = FileLock.take(door, patience=30)
            if lock is None:
                raise RegistryError(
                    "the registry is busy", where=f"{name} in {self.place}", remedy="try again"
                )
            try:
                yield
            finally:
                lock.release()


def _listdir(folder: Path) -> Sequence[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _object(file: Path) -> dict[str, Any]:
    try:
        return read_object(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise RegistryError(
            "the aliases cannot be read",
            where=shown(as_typed(file)),
            accepted=str(error),
            remedy="mend the file",
        ) from None


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
