"""Where decoded pictures are kept, and how much of the disk they may take."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from discerna.errors import OutputError
from discerna.machine import Choice
from discerna.settings.build import absolute
from discerna.settings.loading import TrainLoadingSettings
from discerna.wording import shown

GIB = 2**30

VARIABLE = "DISCERNA_CACHE"
"""Says what loading.cache=auto means, for all trainings of a user or a machine: a directory, or off."""

MOST = 32 * GIB
"""About 130,000 pictures of 341x256."""
SHARE = 4
"""One part in so many of what the disk has free."""

REMOTE = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "sshfs", "9p", "virtiofs", "afs"),
        *(
            "lustre",
            "gpfs",
            "beegfs",
            "ceph",
            "ceph-fuse",
            "glusterfs",
            "orangefs",
            "pvfs2",
            "wekafs",
            "juicefs",
        ),
        *("gcsfuse", "s3fs", "rclone", "goofys", "blobfuse", "blobfuse2"),
    }
)
"""File systems of other machines: a cache there may be slower than decoding, and eats up somebody's quota."""
IN_MEMORY = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True)
class CachePlace:
    """A folder for decoded pictures, and the bytes that it may hold."""

    folder: Path
    limit: int


def choose_cache(loading: TrainLoadingSettings) -> tuple[CachePlace | None, Choice]:
    """The place, None for none, and what to say of it."""
    if loading.cache == "off":
        return None, Choice("off", "loading.cache")
    if loading.cache != "auto":
        folder = _own_below(Path(loading.cache))
        if _is_ready(folder):
            return _at(folder, loading, "loading.cache")
        raise OutputError(
            "the cache cannot be written",
            where=f"loading.cache={shown(str(loading.cache))}",
            remedy="use another directory, or loading.cache=off",
        )
    named = os.environ.get(VARIABLE)
    if named == "off":
        return None, Choice("off", VARIABLE)
    if named:
        folder = _own_below(absolute(named))
        if _is_ready(folder):
            return _at(folder, loading, VARIABLE)
        return None, Choice("off", f"{VARIABLE}={shown(named)} cannot be written")
    return _usual(loading)


def _usual(loading: TrainLoadingSettings) -> tuple[CachePlace | None, Choice]:
    reason = ""
    places: list[Callable[[], Path]] = [_users_folder, lambda: _own_below(Path(tempfile.gettempdir()))]
    for place in places:
        try:
            folder = place()
        except (OSError, RuntimeError) as error:  # no home, or no temporary folder that can be written
            reason = shown(str(error))
            continue
        system = _file_system(folder)
        if system in REMOTE | IN_MEMORY:
            reason = f"{shown(str(folder))} is on {system}"
        elif _is_ready(folder):
            return _at(folder, loading, "later epochs and trainings find pictures decoded")
        else:
            reason = f"{shown(str(folder))} cannot be written, or by others as well"
    return None, Choice("off", f"{reason}; loading.cache=DIR names a place")


def _at(folder: Path, loading: TrainLoadingSettings, why: str) -> tuple[CachePlace, Choice]:
    if loading.cache_gib != "auto":
        limit = int(loading.cache_gib * GIB)
        return CachePlace(folder, limit), _told(folder, limit, why)
    # What a cache holds counts as free: it is removed when there is no room.
    limit = min(MOST, (shutil.disk_usage(folder).free + _taken(folder)) // SHARE)
    return CachePlace(folder, limit), _told(folder, limit, why)


def _told(folder: Path, limit: int, why: str) -> Choice:
    return Choice("on", f"{why}: up to {limit / GIB:.3g} GiB in {shown(str(folder))}")


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
    """Where programs keep what can be made again."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path("~/.cache").expanduser()) / "discerna" / "pictures"


def _own_below(folder: Path) -> Path:
    """A user's own place in a folder that others may use as well."""
    return folder / f"discerna-{os.getuid() if hasattr(os, 'getuid') else 'user'}" / "pictures"


def _is_ready(folder: Path) -> bool:
    """Whether the folder is there now, can be written, and only by the user: entries are believed."""
    try:
        folder.parent.mkdir(0o700, parents=True, exist_ok=True)
        folder.mkdir(0o700, exist_ok=True)
        if hasattr(os, "getuid"):
            for place in (folder, folder.parent):
                found = place.lstat()
                if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
                    return False
        return os.access(folder, os.W_OK | os.X_OK)
    except OSError:
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
        fields = mount.split(" ")
        if len(fields) < 3:
            continue
        where = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
        inside = place == where or place.startswith(where.rstrip("/") + "/")
        if inside and len(where) >= len(best):
            best, kind = where, fields[2].removeprefix("fuse.")
    return kind
