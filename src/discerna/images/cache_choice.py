"""Where decoded pictures are kept, and how much of the disk they may take."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from discerna.errors import OutputError
from discerna.machine import Choice
from discerna.settings.loading import TrainLoadingSettings
from discerna.wording import shown

GIB = 2**30

VARIABLE = "DISCERNA_CACHE"
"""Says what loading.cache=auto means, for all trainings of a user or a machine: a directory, or off."""

MOST = 32 * GIB
"""About 130,000 pictures of 341x256."""
SHARE = 4
"""One part in so many of what the disk has free."""

REMOTE = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "glusterfs",
    "afs",
    "9p",
)
"""File systems of other machines: a cache there may be slower than decoding, and eats up somebody's quota."""
IN_MEMORY = ("tmpfs", "ramfs")


@dataclass(frozen=True)
class CachePlace:
    """A folder for decoded pictures, and the bytes that it may hold."""

    folder: Path
    limit: int


def choose_cache(loading: TrainLoadingSettings) -> tuple[CachePlace | None, Choice]:
    """The place, None for none, and what to say of it."""
    named, why = str(loading.cache), "loading.cache"
    if named == "auto" and os.environ.get(VARIABLE):
        named, why = os.environ[VARIABLE], VARIABLE
    if named == "off":
        return None, Choice("off", why)
    if named != "auto":
        return _named(Path(named).expanduser().absolute(), loading, why)
    reason = ""
    for folder in (_users_folder(), _temporary_folder()):
        system = _file_system(folder)
        if system in REMOTE or system in IN_MEMORY:
            reason = f"{shown(str(folder))} is on {system}"
            continue
        if _is_ours(folder):
            return _at(folder, loading, "decoded pictures, for later epochs and trainings")
        reason = f"{shown(str(folder))} cannot be written"
    return None, Choice("off", f"{reason}; loading.cache=DIR names a place")


def _named(folder: Path, loading: TrainLoadingSettings, setting: str) -> tuple[CachePlace, Choice]:
    if not _is_ours(folder, anyones=True):
        raise OutputError(
            "the cache cannot be written",
            where=f"{setting}={shown(str(folder))}",
            remedy="use another directory, or loading.cache=off",
        )
    return _at(folder, loading, setting)


def _at(folder: Path, loading: TrainLoadingSettings, why: str) -> tuple[CachePlace, Choice]:
    if loading.cache_gib != "auto":
        limit = int(loading.cache_gib * GIB)
        return CachePlace(folder, limit), Choice(str(folder), f"{why}; up to {loading.cache_gib:g} GiB")
    # What others keep there counts as free: it is removed when there is no room.
    limit = min(MOST, (shutil.disk_usage(folder).free + _taken(folder)) // SHARE)
    return CachePlace(folder, limit), Choice(str(folder), f"{why}; up to {limit / GIB:.1f} GiB")


def _taken(folder: Path) -> int:
    """About the bytes of a cache: a part of its folders is looked at."""
    looked, size = 0, 0
    for number in range(0, 256, 16):
        looked += 1
        try:
            with os.scandir(folder / f"{number:02x}") as files:
                size += sum(file.stat(follow_symlinks=False).st_size for file in files)
        except OSError:
            continue
    return size * 256 // looked


def _users_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "discerna" / "pictures"


def _temporary_folder() -> Path:
    return (
        Path(tempfile.gettempdir())
        / f"discerna-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
        / "pictures"
    )


def _is_ours(folder: Path, anyones: bool = False) -> bool:
    """Whether the folder is there now, can be written and, unless `anyones`, is the user's own."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = anyones or not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
        parent = folder.parent.lstat()
        safe = anyones or not hasattr(os, "getuid") or parent.st_uid == os.getuid()
        return own and safe and os.access(folder, os.W_OK | os.X_OK)
    except (OSError, RuntimeError):
        return False


def _file_system(folder: Path) -> str:
    """The kind of file system that a folder is or would be on; empty where Linux does not tell."""
    try:
        mounts = Path("/proc/mounts").read_text("utf-8", "surrogateescape").splitlines()
        place = os.path.realpath(folder)
    except OSError:
        return ""
    best, kind = "", ""
    for mount in mounts:
        _, where, system, *_ = mount.split(" ")
        where = where.encode().decode("unicode_escape", "replace") if "\\" in where else where
        inside = place == where or place.startswith(where.rstrip("/") + "/")
        if inside and len(where) >= len(best):
            best, kind = where, system
    return kind
