"""A lock that ends with its process, however that ends: by kill -9 and power cut too."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

_UNSUPPORTED = (errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL, errno.EBADF)
"""What file systems without such locks answer."""

_held: set[int] = set()
"""The descriptors of this process's locks."""


def _forget_in_child() -> None:
    # A forked child (a loader's worker) shares the lock, and would keep it when this process is gone.
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class FileLock:
    """A file or a folder that this process alone has locked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        _held.add(descriptor)

    @classmethod
    def take(cls, path: Path, patience: float = 0.0) -> FileLock | None:
        """Lock what is at `path`; None where another process has it, and keeps it for `patience` seconds.

        FileNotFoundError where nothing is there, or no longer. A file system without locks gives one that
        holds nobody off.
        """
        is_folder = path.is_dir()
        # Some network disks lock only what is open for writing.
        descriptor = os.open(path, os.O_NONBLOCK | (os.O_RDONLY | os.O_DIRECTORY if is_folder else os.O_RDWR))
        until = time.monotonic() + patience
        try:
            while not _locked(descriptor, fcntl.LOCK_EX):
                if time.monotonic() >= until:
                    os.close(descriptor)
                    return None
                time.sleep(0.01)
            # Who held the lock before may have removed the file, or put another in its place.
            if os.stat(path).st_ino != os.fstat(descriptor).st_ino:  # noqa: PTH116
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        except BaseException:
            _close(descriptor)
            raise
        return cls(descriptor)

    @property
    def descriptor(self) -> int:
        """A process that inherits it keeps the lock until it ends as well."""
        return self._descriptor

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor in _held:
            _held.remove(self._descriptor)
            _close(self._descriptor)


def is_locked(path: Path) -> bool | None:
    """Whether a process has locked the file; None where the file system cannot tell."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED or kind == fcntl.LOCK_SH:
            raise
    return True


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
