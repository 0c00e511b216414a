"""Files that others may have put there: read only where they are plain ones, so that a pipe does not hang a command."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any


def read_plain(path: Path, most: int = -1) -> bytes:
    """The content of a plain file, `most` bytes of it; OSError for anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        return file.read(most)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a plain file; OSError or ValueError where there is none."""
    try:
        found = json.loads(read_plain(path).decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found
