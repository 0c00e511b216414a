"""The name of a member as a path below a folder, or the reason why it can be none."""

from __future__ import annotations

import os
import re

_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST, _DEEPEST = 255, 64
"""Bytes of a name, and folders above a file, that every system takes."""


def place_of(name: str) -> tuple[bytes, str]:
    """The path relative to the folder that an archive is unpacked to, and a reason why there is none."""
    if "\0" in name:
        return b"", "nul_in_name"
    for written in {
        name,
        name.replace("\\", "/"),
    }:  # where a backslash separates, it must not lead out either
        parts = written.split("/")
        if not parts[0] or _DRIVE.match(parts[0]):
            return b"", "absolute_path"
        if ".." in parts:
            return b"", "leads_outside"
    parts = [part for part in name.split("/") if part not in ("", ".")]
    place = os.fsencode("/".join(parts))
    if not parts:
        return b"", "no_name"
    if len(parts) > _DEEPEST or max(map(len, place.split(b"/"))) > _LONGEST or len(place) > 3000:
        return b"", "name_too_long"
    return place, ""
