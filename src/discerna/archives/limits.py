"""How much an archive may become: counted as the bytes come, since its own figures may lie."""

from __future__ import annotations

import shutil
from pathlib import Path

from discerna.errors import InvalidDatasetError, OutputError
from discerna.wording import shown

MOST_TIMES, HARMLESS = 200, 100 * 2**20
"""A bomb unpacks to more than so many times its size, and to more than so many bytes."""

RESERVE = 64 * 2**20
"""So many bytes of the disk are left free."""

_LOOK = 32 * 2**20
"""The disk is looked at again after so many bytes."""

_FILE = 4096
"""What the smallest file takes on the disk."""


def refuse_bomb(path: Path, unpacked: int, packed: int, member: str = "") -> None:
    """Refuse what is far larger unpacked than any pictures are."""
    if unpacked > HARMLESS and unpacked > MOST_TIMES * packed:
        who = f"'{shown(member)}'" if member else "it"
        raise InvalidDatasetError(
            "the archive is a zip bomb",
            where=f"input={shown(str(path))}",
            accepted=f"{who} unpacks to more than {MOST_TIMES} times its size",
            remedy="if you trust it, unpack it yourself and pass the folder",
        )


class Room:
    """What is left of the disk that an archive is unpacked to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._left = 0

    def refuse(self, needed: int) -> None:
        """Refuse to go on where `needed` bytes do not fit."""
        free = shutil.disk_usage(self._folder).free
        if needed > free - RESERVE:
            raise OutputError(
                "the disk has no room for what the archive holds",
                where=shown(str(self._folder.parent)),
                accepted=f"{needed / 1e6:,.0f} MB or more are needed, {free / 1e6:,.0f} MB are free",
                remedy="make room, or choose an output on another disk",
            )

    def take(self, size: int) -> None:
        """Count bytes before they are written."""
        self._left -= max(size, _FILE)
        if self._left < 0:
            self.refuse(_LOOK)
            self._left = _LOOK
