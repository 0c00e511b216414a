"""The checkpoints of a run as files: their names, their order, and whether one is whole. No torch here."""

from __future__ import annotations

import logging
import re
import stat
import zipfile
from contextlib import suppress
from pathlib import Path

from discerna.directories.write_aside import ASIDE
from discerna.directories.zip_end import zip_end

LOG = logging.getLogger("discerna")

_NAME = re.compile(r"step-(\d+)\.ckpt")
_BEST = re.compile(r"best-(\d+)\.ckpt")


def checkpoint_name(step: int) -> str:
    """That of the checkpoint after so many steps."""
    return f"step-{step:08d}.ckpt"


def best_name(number: int) -> str:
    """That of the weights which were the best at the `number`-th look at them."""
    return f"best-{number:05d}.ckpt"


def best_files(folder: Path) -> list[Path]:
    """All files of best weights."""
    return sorted(path for path in _files(folder) if _BEST.fullmatch(path.name))


def checkpoints(folder: Path, after: int = -1) -> list[Path]:
    """All checkpoints of later steps than `after`, the newest first; none where the folder is not there."""
    found = [(int(match[1]), path) for path in _files(folder) if (match := _NAME.fullmatch(path.name))]
    return [path for step, path in sorted(found, reverse=True) if step > after]


def newest_whole(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; a damaged one is told, and the one before it is looked at."""
    for path in checkpoints(folder):
        if is_whole(path):
            return path
        LOG.warning("%s is damaged or cut short; the checkpoint before it is used", path)
    return None


def is_whole(path: Path) -> bool:
    """Whether a file is an archive of torch's all of whose parts have the sums that they had when written.

    torch compresses nothing and writes each part once, so that what is read never takes more room than the file.
    """
    try:
        found = path.lstat()
        end = zip_end(path) if stat.S_ISREG(found.st_mode) else None
        if end is None or end.table > TABLE_LIMIT:
            return False
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            plain = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
            plain = plain and sum(part.file_size for part in parts) <= found.st_size
            return plain and archive.testzip() is None
    except _UNREADABLE:
        return False


TABLE_LIMIT = 64 << 20
"""Bytes of the table of contents, which has about 100 for each tensor."""

_UNREADABLE = (
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
)


def remove_left_over(folder: Path) -> None:
    """Remove what a process has left that was killed while it wrote; only for the owner of the run."""
    for path in _files(folder):
        if path.name.startswith(ASIDE):
            with suppress(OSError):
                path.unlink()


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
