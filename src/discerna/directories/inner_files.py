"""Files that another file of the same directory names, opened as if a stranger had named them."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from discerna.directories.model_files import altered, damaged
from discerna.wording import shown


def inner_file(folder: Path, name: str) -> Path:
    """The plain file `name` in the folder; nothing outside of it, no link on the way, no device."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise altered(f"it names the file {shown(name)!r}, which lies elsewhere")
    path = folder
    for part in parts:
        path = path / part
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            raise damaged(f"{shown(name)} is missing") from None
        if stat.S_ISLNK(mode):
            raise altered(f"{shown(name)} is a link")
    if not stat.S_ISREG(mode):
        raise altered(f"{shown(name)} is no plain file")
    return path


def inner_bytes(folder: Path, name: str, limit: int) -> bytes:
    """The content of such a file, which has `limit` bytes at most."""
    path = inner_file(folder, name)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise damaged(f"{shown(name)} has more than {limit} bytes")
    return data
