"""A picture put where it belongs: a hard link, or a copy that appears whole."""

from __future__ import annotations

import os
from pathlib import Path

from discerna.errors import OutputError
from discerna.settings.convert import Link
from discerna.wording import shown

UNFINISHED = ".part"
"""What a copy is called until it is whole."""


def place(source: str, target: str, link: Link) -> str:
    """Put the file at `target`, whose folder exists; the reason why it cannot be read, if so.

    What stands there already, from a call that was killed, is kept if it is the same.
    """
    try:
        source = os.path.realpath(source) if os.path.islink(source) else source  # noqa: PTH114
        found = os.stat(source)  # noqa: PTH116 - a million of them
    except OSError:
        return "unreadable"
    if _stands(target, found):
        return ""
    if link != "copy":
        try:
            os.link(source, target)
        except OSError as error:
            if link == "hard":
                raise OutputError(
                    "a hard link cannot be made",
                    where=shown(source),
                    accepted=str(error.strerror),
                    remedy="link=copy, or an output on the same disk",
                ) from None
        else:
            return ""
    return _copy(source, target, found)


def _stands(target: str, source: os.stat_result) -> bool:
    """Whether the target is there and is the source or a copy of it; another one is removed."""
    try:
        found = os.stat(target, follow_symlinks=False)  # noqa: PTH116
    except FileNotFoundError:
        return False
    same = (found.st_dev, found.st_ino) == (source.st_dev, source.st_ino)
    if same or (found.st_size, found.st_mtime_ns) == (source.st_size, source.st_mtime_ns):
        return True
    os.unlink(target)  # noqa: PTH108
    return False


def _copy(source: str, target: str, found: os.stat_result) -> str:
    """Written under a hidden name, with the times of the source, by which a copy is known again."""
    part = Path(target).with_name(UNFINISHED)
    try:
        file = open(source, "rb")  # noqa: SIM115 - closed below
    except OSError:
        return "unreadable"
    with file, part.open("wb") as copy:
        while True:
            try:
                chunk = file.read(1 << 20)
            except OSError:  # of the source; one of the output goes on up
                return "unreadable"
            if not chunk:
                break
            copy.write(chunk)
    os.utime(part, ns=(found.st_atime_ns, found.st_mtime_ns))
    part.replace(target)
    return ""
