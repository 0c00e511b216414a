"""The end record of a zip file, looked at before anything reads the whole table that it tells of into memory."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

ENTRY = 46
"""The bytes of an entry of the table, besides its name."""


class ZipEnd(NamedTuple):
    """What the record tells."""

    disk: int
    first: int
    """The disk on which the table begins; 0, as `disk` is, in all but archives of several files."""
    table: int
    """The bytes of the table of contents."""


def zip_end(path: Path) -> ZipEnd | None:
    """The end record of the file; None where there is none."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = max(0, size - 65_557)  # the record, and the longest comment
        file.seek(start)
        tail = file.read()
        found = tail.rfind(b"PK\5\6")
        if found < 0 or len(tail) < found + 22:
            return None
        end = ZipEnd(*struct.unpack("<4xHH4xL", tail[found : found + 16]))
        locator = tail[max(0, found - 20) : found]
        if locator.startswith(b"PK\6\7"):
            file.seek(min(size, struct.unpack("<8xQ", locator[:16])[0]))
            record = file.read(56)
            if len(record) == 56:
                end = ZipEnd(*struct.unpack("<16xLL16xQ", record[:48]))
        return end._replace(table=min(end.table, size))
